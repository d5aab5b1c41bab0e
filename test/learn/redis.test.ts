import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { load } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { type LearnRedisOptions, learnFromRedis } from '../../src/learn/redis.ts'
import { AT_LEAST_READS } from '../../src/predict/buckets.ts'
import { HEAT_CHUNK } from '../../src/store/heat.ts'
import type { Entry } from '../../src/store/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'
import { MemoryStore } from '../fakes/store.ts'
import { configOf } from '../fakes/tasks.ts'

const { tasks } = configOf({ films: load({ key: 'film:{id}', ttl: '1h', ttlJitter: 0, load: () => new Map() }) })

async function stage(keys: number) {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const entries = Array.from({ length: keys }, (_, n): Entry => {
    return { key: `film:${n}`, ttlMs: 3_600_000, encoded: { type: 'string', value: 'x' } }
  })
  await store.write(entries, {
    ...{ mode: 'overwrite', versionField: null, timeoutMs: 1000, signal: new AbortController().signal },
  })
  const commands = new FakeCommands().onScript(AT_LEAST_READS, () => 1).on('CONFIG', () => ['lfu-log-factor', '10'])
  const pages: number[] = []
  const counting = {
    scan: (glob: string) => store.scan(glob),
    heatOf(some: readonly string[]) {
      pages.push(some.length)
      return store.heatOf(some)
    },
  }
  const learn = (more: Partial<LearnRedisOptions> = {}) =>
    learnFromRedis({
      ...{ store: counting, commands, clock, tasks: tasks.values(), capacity: 100, rate: 1e9, dryRun: false },
      signal: new AbortController().signal,
      ...more,
    })
  /** Keys that were written into the access log. */
  const kept = () =>
    commands.calls
      .filter(([name]) => name === 'SCRIPT')
      .flatMap((call) => call.slice(5).filter((_, at) => at % 3 === 0))
  return { clock, store, commands, pages, learn, kept }
}

describe('learnFromRedis', () => {
  it('finds what was read, and nothing that only warming wrote', async () => {
    const { clock, store, learn, kept } = await stage(20)
    await clock.advance(60_000)
    for (const key of ['film:3', 'film:7']) store.touch(key)
    store.fill('other:1', 'x', 60_000)
    store.fill('prewarm:version:film:1', 'x', 60_000)
    await clock.advance(10_000)
    const told = await learn()
    assertEquals(told.keys, { seen: 22, withoutTask: 2, read: 2, unread: 0, warmed: 18, old: 0, gone: 0 })
    assertEquals([told.by, told.lfu, told.kept, kept()], ['idle', null, 2, ['film:3', 'film:7']])
    const lastReadAt = new Date(Math.floor((clock.nowMs() - 10_000) / 1000) * 1000).toISOString()
    assertEquals(told.top[0], { key: 'film:3', task: 'films', reads: 1, lastReadAt })
  })

  it('goes by counters under an LFU policy, hottest first, and remembers no more than it may', async () => {
    const { store, learn, kept } = await stage(20)
    store.counters = new Map([
      ['film:1', 30],
      ['film:2', 60],
      ['film:3', 6],
      ['film:4', 40],
    ])
    const told = await learn({ capacity: 2 })
    assertEquals([told.by, told.lfu, told.keys.read], ['counter', { logFactor: 10, decayMinutes: 1 }, 3])
    assertEquals(
      [told.top.map(({ key }) => key), kept()],
      [
        ['film:2', 'film:4'],
        ['film:2', 'film:4'],
      ],
    )
  })

  it('tells of no more keys than the access log keeps, the hottest', async () => {
    const { store, learn, kept } = await stage(0)
    for (let n = 0; n < 10_500; n++) store.fill(`film:${n}`, 'x', 60_000)
    store.counters = new Map(Array.from({ length: 10_500 }, (_, n) => [`film:${n}`, n < 500 ? 6 : 9]))
    const told = await learn({ capacity: 50_000 })
    assertEquals([told.keys.read, told.kept, kept().length], [10_500, 10_000, 10_000])
    assertEquals(
      kept().some((key) => Number(key.slice(5)) < 500),
      false,
    )
  })

  it('takes what was read by readers’ own fills', async () => {
    const { store, learn } = await stage(0)
    store.fill('film:1', 'x', 60_000)
    assertEquals((await learn()).keys.read, 1)
  })

  it('looks at keys by small pipelines, and no faster than it is told', async () => {
    const { clock, pages, learn } = await stage(1000)
    let seen = 0
    const all = learn({ rate: 100, onProgress: (keys) => (seen = keys.seen) })
    await clock.advance(2000)
    // 250 keys take 2.5 s at that rate.
    assertEquals(seen, 250)
    await clock.advance(500)
    assertEquals(seen, 500)
    await clock.advance(10_000)
    assertEquals((await all).keys.seen, 1000)
    assert(
      pages.every((size) => size <= HEAT_CHUNK),
      `${pages}`,
    )
  })

  it('looks only at keys that match, and at no more than it is told', async () => {
    const { learn } = await stage(500)
    assertEquals((await learn({ match: 'film:1*' })).keys.seen, 111)
    assertEquals((await learn({ limit: 300 })).keys.seen, 300)
    const { code } = await assertRejects(() => learn({ match: '' }), PrewarmError)
    assertEquals(code, 'REQUEST_INVALID')
  })

  it('writes nothing in a dry run, or when it is interrupted', async () => {
    const { clock, store, learn, kept } = await stage(600)
    await clock.advance(60_000)
    for (let n = 0; n < 600; n++) store.touch(`film:${n}`)
    const told = await learn({ dryRun: true })
    assertEquals([told.keys.read, told.kept, kept()], [600, 0, []])
    const abort = new AbortController()
    const onProgress = () => abort.abort()
    const { code } = await assertRejects(() => learn({ signal: abort.signal, onProgress }), PrewarmError)
    assertEquals([code, kept()], ['JOB_CANCELLED', []])
  })

  it('leaves out what the access log would have forgotten', async () => {
    const { clock, store, learn } = await stage(0)
    store.fill('film:1', 'x', 1e9)
    await clock.advance(26 * 3_600_000)
    assertEquals((await learn()).keys, { seen: 1, withoutTask: 0, read: 0, unread: 0, warmed: 0, old: 1, gone: 0 })
  })

  it('takes Redis’ defaults where it may not ask for the settings', async () => {
    const { store, commands, learn } = await stage(1)
    store.counters = new Map()
    commands.on('CONFIG', () => {
      throw new PrewarmError('STORE_REFUSED', 'NOPERM')
    })
    assertEquals((await learn()).lfu, { logFactor: 10, decayMinutes: 1 })
  })
})
