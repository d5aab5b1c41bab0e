import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Settings } from '../../src/config/settings.ts'
import { PrewarmError } from '../../src/errors.ts'
import { SnapshotKeeper } from '../../src/snapshot/keeper.ts'
import type { LoadSnapshotOptions, SaveOptions } from '../../src/snapshot/snapshots.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { LockTable, MemoryLocks } from '../fakes/locks.ts'

const SETTINGS = { to: 'hot.ndjson', everyMs: 60_000, keys: 10, load: false, timeoutMs: 1000 }
const LOADED = { from: 'x', savedAt: '', ended: 'all', durationMs: 1, firstError: null } as const
const COUNTS = { keys: 1, loaded: 1, present: 0, unmatched: 0, failed: 0, deduplicated: 0, leftOut: 0, left: 0 }

/** An instance whose saves and loads are noted. */
class Desk {
  readonly clock: FakeClock
  readonly locks: MemoryLocks
  readonly saves: SaveOptions[] = []
  readonly loads: LoadSnapshotOptions[] = []
  settings: Settings['snapshot'] = { ...SETTINGS }
  savedAtMs: number | null = null
  onSave: () => Promise<void> | void = () => {}
  onLoad: (options: LoadSnapshotOptions) => Promise<void> | void = () => {}
  readonly keeper: SnapshotKeeper

  constructor(clock = new FakeClock(), locks = new MemoryLocks()) {
    this.clock = clock
    this.locks = locks
    this.keeper = new SnapshotKeeper({
      snapshots: {
        save: async (options = {}) => {
          this.saves.push(options)
          await this.onSave()
          return { to: 'x', keys: 1, saved: true, reason: null }
        },
        load: async (options = {}) => {
          this.loads.push(options)
          await this.onLoad(options)
          return { ...LOADED, ...COUNTS }
        },
        readHeader: async () => (this.savedAtMs === null ? null : { config: 'a', keys: 1, savedAtMs: this.savedAtMs }),
      },
      settings: () => this.settings,
      locks,
      instance: 'me',
      clock,
    })
  }
}

describe('a service’s snapshot', () => {
  it('is saved on its schedule and once more at the end, and not loaded unless that is asked for', async () => {
    const { clock, keeper, saves, loads } = new Desk()
    keeper.start()
    await clock.advance(59_999)
    assertEquals(saves.length, 0)
    await clock.advance(1)
    await clock.advance(60_000)
    assertEquals(saves.length, 2)
    await clock.until(keeper.stop())
    assertEquals([saves.length, loads.length, clock.pending], [3, 0, 0])
    await keeper.stop()
    assertEquals(saves.length, 3)
  })

  it('goes by the configuration as it is now', async () => {
    const desk = new Desk()
    desk.settings = undefined
    desk.keeper.start()
    await desk.clock.advance(600_000)
    assertEquals(desk.saves.length, 0)
    desk.settings = { ...SETTINGS, everyMs: 10_000 }
    await desk.clock.advance(60_000)
    assertEquals(desk.saves.length, 1)
    desk.settings = undefined
    await desk.clock.until(desk.keeper.stop())
    assertEquals(desk.saves.length, 1)
  })

  it('goes on after a save that failed', async () => {
    const desk = new Desk()
    desk.onSave = () => {
      throw new PrewarmError('STORE_UNREACHABLE', 'away')
    }
    desk.keeper.start()
    await desk.clock.advance(180_000)
    assertEquals(desk.saves.length, 3)
    await desk.clock.until(desk.keeper.stop())
  })

  it('ends within 1.5 s, and replaces nothing after that, where Redis does not answer', async () => {
    const desk = new Desk()
    desk.onSave = () => new Promise(() => {})
    desk.keeper.start()
    const startMs = desk.clock.elapsedMs
    await desk.clock.until(desk.keeper.stop(), 1500)
    assertEquals(desk.clock.elapsedMs - startMs, 1500)
    assertEquals(desk.saves.length, 1)
    assert(desk.saves[0]?.signal?.aborted)
  })

  it('in Redis is saved by one instance at a time, and not again where another just has', async () => {
    const clock = new FakeClock()
    const table = new LockTable()
    const desks = [new Desk(clock, new MemoryLocks(table)), new Desk(clock, new MemoryLocks(table))] as const
    let running = 0
    let savedAtMs: number | null = null
    for (const desk of desks) {
      desk.settings = { ...SETTINGS, to: 'redis:a.b' }
      desk.onSave = async () => {
        assertEquals(++running, 1)
        await clock.sleep(1000)
        savedAtMs = clock.nowMs()
        for (const one of desks) one.savedAtMs = savedAtMs
        running--
      }
      desk.keeper.start()
    }
    await clock.advance(61_000)
    assertEquals(desks[0].saves.length + desks[1].saves.length, 1)
    // Another one, that began a little later.
    const late = new Desk(clock, new MemoryLocks(table))
    late.settings = { ...SETTINGS, to: 'redis:a.b', everyMs: 10_000 }
    late.savedAtMs = clock.nowMs() + 9000
    late.keeper.start()
    await clock.advance(10_000)
    assertEquals(late.saves.length, 0)
    await clock.until(Promise.all([...desks, late].map(({ keeper }) => keeper.stop())))
    assertEquals(table.held.size, 0)
  })

  it('is saved also where the one that is there was saved by a clock that is ahead', async () => {
    const desk = new Desk()
    desk.savedAtMs = desk.clock.nowMs() + 86_400_000
    desk.keeper.start()
    await desk.clock.advance(120_000)
    assertEquals(desk.saves.length, 2)
    await desk.clock.until(desk.keeper.stop())
  })

  it('in Redis has a lock of its own, whatever its name', async () => {
    const desk = new Desk()
    desk.settings = { ...SETTINGS, to: 'redis:load', load: true }
    desk.onLoad = ({ signal }) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve()))
    desk.keeper.start()
    await desk.clock.advance(60_000)
    assertEquals([desk.loads.length, desk.saves.length], [1, 1])
    await desk.clock.until(desk.keeper.stop())
  })

  it('is not replaced by an instance that has lost its lock', async () => {
    const desk = new Desk()
    desk.settings = { ...SETTINGS, to: 'redis:hot' }
    const { promise, resolve } = Promise.withResolvers<void>()
    desk.onSave = () => promise
    desk.keeper.start()
    await desk.clock.advance(60_000)
    assertEquals(desk.saves[0]?.signal?.aborted, false)
    desk.locks.table.take('snapshot:save:hot')
    assertEquals(desk.saves[0]?.signal?.aborted, true)
    resolve()
    await desk.clock.until(desk.keeper.stop())
  })

  it('is loaded at the start by one instance, in the background, under a fence, until the end', async () => {
    const clock = new FakeClock()
    const table = new LockTable()
    const desks = [new Desk(clock, new MemoryLocks(table)), new Desk(clock, new MemoryLocks(table))] as const
    for (const desk of desks) {
      desk.settings = { ...SETTINGS, load: true }
      desk.onLoad = ({ signal }) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve()))
      desk.keeper.start()
    }
    await turn()
    assertEquals([desks[0].loads.length, desks[1].loads.length], [1, 0])
    const [{ request, signal } = {}] = desks[0].loads
    assertEquals([request?.source, request?.fence?.key], ['startup', 'cache:warmup:fence:snapshot:load'])
    assertEquals(signal?.aborted, false)
    await clock.until(Promise.all(desks.map(({ keeper }) => keeper.stop())))
    await turn()
    assertEquals([signal?.aborted, table.held.size], [true, 0])
  })

  it('that can not be loaded keeps no service from starting', async () => {
    for (const code of ['NOT_FOUND', 'SNAPSHOT_MISMATCH', 'SNAPSHOT_INVALID'] as const) {
      const desk = new Desk()
      desk.settings = { ...SETTINGS, load: true }
      desk.onLoad = () => {
        throw new PrewarmError(code, 'no')
      }
      desk.keeper.start()
      await desk.clock.advance(60_000)
      assertEquals([desk.loads.length, desk.saves.length], [1, 1])
      await desk.clock.until(desk.keeper.stop())
    }
  })
})
