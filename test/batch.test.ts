import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { type BatchOptions, type BatchReport, emptyReport, runBatch } from '../src/batch.ts'
import type { Task } from '../src/config/task.ts'
import { PrewarmError } from '../src/errors.ts'
import type { Work } from '../src/origin/types.ts'
import { FakeClock } from './fakes/clock.ts'
import { FakeOrigin } from './fakes/origin.ts'
import { type Fault, MemoryStore } from './fakes/store.ts'
import { keys, loadTask, sqlTask } from './fakes/tasks.ts'

/** One batch of a task, with everything around it. */
class Table {
  readonly clock = new FakeClock()
  readonly store = new MemoryStore(this.clock)
  readonly origin = new FakeOrigin()
  readonly abort = new AbortController()
  readonly announced: number[] = []
  random = () => 1

  run(task: Task, work: Work | number, more: Partial<BatchOptions> = {}): Promise<BatchReport> {
    const options: BatchOptions = {
      params: {},
      timeoutMs: 1000,
      requestIntervalMs: 0,
      traceId: '1'.repeat(32),
      storeTimeoutMs: 5000,
      backoffBaseMs: 100,
      ttlMs: task.ttlMs,
      retries: task.retries,
      keyEvents: 0,
      signal: this.abort.signal,
      onWriting: (count) => this.announced.push(count),
      ...more,
    }
    const { origin, store, clock } = this
    const parts = { origin, store, clock, random: () => this.random() }
    const named: Work = typeof work === 'number' ? { kind: 'keys', keys: keys(work) } : work
    return clock.until(runBatch(task, named, options, parts))
  }
}

const counts = ({ keys: { planned, written, failed, unknown } }: BatchReport) => [planned, written, failed, unknown]
const fault = (outcome: Fault['outcome'], retryable: boolean): Fault => ({ outcome, retryable })

describe('runBatch', () => {
  it('runBatch reads, encodes and writes all keys in one call of the store, each with its own TTL', async () => {
    const table = new Table()
    const report = await table.run(loadTask({ ttl: 100_000, value: 'json' }), 20)
    assertEquals(counts(report), [20, 20, 0, 0])
    assertEquals(
      table.store.writes.map((write) => write.keys),
      [keys(20)],
    )
    assertEquals(await table.store.read(['k:7']), [{ type: 'string', value: '"value of k:7"' }])
    const ttls = await table.store.ttlsMs(keys(20))
    assert(ttls.every((ttl) => ttl > 90_000 - 101 && ttl <= 100_000) && new Set(ttls).size > 10, `${ttls}`)
    assertEquals([report.originRequests, report.retryKeys, report.firstError, report.done], [1, [], null, true])
  })

  it('runBatch announces what it is about to write, and nothing when there is nothing', async () => {
    const table = new Table()
    await table.run(loadTask(), 3)
    table.origin.valueOf = () => null
    await table.run(loadTask(), 3)
    assertEquals([table.announced, table.store.writes.length], [[3], 1])
  })

  it('runBatch shows some of the keys that are in the store now', async () => {
    const table = new Table()
    table.store.faultOf = ({ key }) => (key === 'k:1' ? fault('failed', false) : undefined)
    const { sample } = await table.run(loadTask(), 50)
    assert(sample.length > 0 && sample.length < 10 && !sample.includes('k:1'), `${sample}`)
    assertEquals(
      sample.filter((key) => !table.store.keys.includes(key)),
      [],
    )
  })

  it('runBatch gives back the keys whose read may pass, and counts the others', async () => {
    const table = new Table()
    table.origin.isAway = (key) => key === 'k:2'
    table.origin.valueOf = (key) => (key === 'k:3' ? null : 'x')
    const report = await table.run(loadTask(), 4)
    assertEquals([report.retryKeys, counts(report)], [['k:2'], [3, 2, 1, 0]])
    assertEquals(table.store.keys, ['k:1', 'k:4'])
  })

  it('runBatch fails a value alone that has no form, with its key', async () => {
    const table = new Table()
    table.origin.valueOf = (key) => (key === 'k:2' ? { a: 1n } : { a: 1 })
    const report = await table.run(loadTask(), 3)
    assertEquals(counts(report), [3, 2, 1, 0])
    assertEquals([report.firstError?.code, report.firstError?.key], ['VALUE_INVALID', 'k:2'])
  })

  it('runBatch lets a read that fails as a whole come out, and writes nothing', async () => {
    const table = new Table()
    table.origin.onRead = () => {
      throw new PrewarmError('ORIGIN_TIMEOUT', 'slow')
    }
    const error = await assertRejects(() => table.run(loadTask(), 3), PrewarmError)
    assertEquals([error.code, table.store.writes, table.announced], ['ORIGIN_TIMEOUT', [], []])
  })

  it('runBatch that is cancelled between read and write writes nothing', async () => {
    const table = new Table()
    table.origin.onRead = () => table.abort.abort()
    const error = await assertRejects(() => table.run(loadTask(), 3), PrewarmError)
    assertEquals([error.code, table.store.writes, table.announced], ['JOB_CANCELLED', [], []])
  })

  it('runBatch passes on what the read needs, and the write mode', async () => {
    const table = new Table()
    await table.run(loadTask({ mode: 'add' }), 1, { params: { limit: 5 }, timeoutMs: 77, requestIntervalMs: 9 })
    const [read, write] = [table.origin.reads[0]?.options, table.store.writes[0]?.options]
    assertEquals([read?.params, read?.timeoutMs, read?.requestIntervalMs], [{ limit: 5 }, 77, 9])
    assertEquals([read?.traceId, read?.signal], ['1'.repeat(32), table.abort.signal])
    assertEquals([write?.mode, write?.versionField, write?.timeoutMs], ['add', null, 5000])
  })

  it('runBatch tells the store where the version stands, if it stands in the value', async () => {
    const cases: [Task, string | null][] = [
      [loadTask({ version: 'v' }), 'v'],
      [sqlTask({ version: 'v' }), 'v'],
      [loadTask({ version: 'v', value: 'string' }), null],
      [loadTask({ version: 'v', columns: ['a', 'v'] }), 'v'],
      [loadTask({ version: 'v', columns: ['a'] }), null],
      [loadTask({ version: () => 1 }), null],
    ]
    for (const [task, field] of cases) {
      const table = new Table()
      table.origin.valueOf = () => (task.value === 'string' ? 'x' : { a: 1, v: 1 })
      await table.run(task, 1)
      assertEquals(table.store.writes[0]?.options.versionField, field)
      assertEquals(table.store.writes[0]?.options.mode, 'newer')
    }
  })

  it('runBatch measures the read from when it begins, and the write by itself', async () => {
    const table = new Table()
    table.origin.onRead = async (_, { onBegin }) => {
      await table.clock.sleep(1000)
      onBegin?.()
      await table.clock.sleep(20)
    }
    table.store.onWrite = () => table.clock.sleep(3)
    const { readNs, writeNs } = await table.run(loadTask(), 1)
    assertEquals([readNs, writeNs], [20e6, 3e6])
  })

  it('runBatch takes its ticket before it reads, and leaves out what was deleted meanwhile', async () => {
    const table = new Table()
    const order: string[] = []
    table.store.onBegin = () => void order.push('ticket')
    table.origin.onRead = async () => {
      order.push('read')
      await table.store.unlink(['k:2'])
    }
    const report = await table.run(loadTask(), 3, { keyEvents: 10 })
    assertEquals(order, ['ticket', 'read'])
    assertEquals([report.keys.written, report.keys.skippedNewer, table.store.keys], [2, 1, ['k:1', 'k:3']])
    assertEquals(report.outcomes[1], ['k:2', 'skipped_newer'])
  })

  it('runBatch without a ticket reads nothing: its keys have failed as an unreachable store would leave them', async () => {
    const table = new Table()
    table.store.onBegin = () => {
      throw new PrewarmError('STORE_UNREACHABLE', 'no Redis')
    }
    const report = await table.run(loadTask(), 3)
    assertEquals([counts(report), report.retryKeys, report.originRequests], [[3, 0, 3, 0], [], 0])
    assertEquals([report.firstError?.code, table.origin.reads, table.store.writes], ['STORE_UNREACHABLE', [], []])
    const range: Work = { kind: 'range', range: { from: null, to: null, limit: null } }
    const error = await assertRejects(() => table.run(sqlTask(), range), PrewarmError)
    assertEquals([error.code, table.origin.reads], ['STORE_UNREACHABLE', []])
  })

  it('runBatch that is cancelled while it waits for its ticket reads nothing', async () => {
    for (const isAway of [false, true]) {
      const table = new Table()
      table.store.onBegin = () => {
        table.abort.abort()
        if (isAway) throw new PrewarmError('STORE_UNREACHABLE', 'no Redis')
      }
      const error = await assertRejects(() => table.run(loadTask(), 3), PrewarmError)
      assertEquals([error.code, table.origin.reads, table.store.writes], ['JOB_CANCELLED', [], []])
    }
  })

  it('runBatch does not count the wait for a ticket as time of the origin', async () => {
    const table = new Table()
    table.store.onBegin = () => table.clock.sleep(500)
    table.origin.onRead = () => table.clock.sleep(20)
    assertEquals((await table.run(loadTask(), 1)).readNs, 20e6)
  })

  it('runBatch tries a write again under the ticket of its read', async () => {
    const table = new Table()
    table.store.faultOf = () => (table.store.writes.length === 1 ? fault('failed', true) : undefined)
    table.store.onWrite = () =>
      table.store.writes.length === 1 ? table.store.unlink(['k:1']).then(() => {}) : undefined
    const report = await table.run(loadTask({ retries: 2 }), 2)
    assertEquals([report.keys.written, report.keys.skippedNewer, table.store.keys], [1, 1, ['k:2']])
    assertEquals(new Set(table.store.writes.map(({ options }) => options.ticket)), new Set(['0']))
  })

  it('emptyReport is a fresh one each time', () => {
    emptyReport().retryKeys.push('k:1')
    assertEquals(emptyReport().retryKeys, [])
  })
})
