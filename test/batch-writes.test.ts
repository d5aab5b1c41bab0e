import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { type BatchOptions, type BatchReport, runBatch } from '../src/batch.ts'
import type { Task } from '../src/config/task.ts'
import { PrewarmError } from '../src/errors.ts'
import { SqlOrigin } from '../src/origin/sql-read.ts'
import type { Work } from '../src/origin/types.ts'
import { FakeClock } from './fakes/clock.ts'
import { FakeOrigin } from './fakes/origin.ts'
import { FakeSqlClient } from './fakes/sql-client.ts'
import { type Fault, MemoryStore } from './fakes/store.ts'
import { keys, loadTask, sqlTask } from './fakes/tasks.ts'

const passing: Fault = { outcome: 'failed', retryable: true }
const lasting: Fault = { outcome: 'failed', retryable: false }

function table() {
  const clock = new FakeClock()
  const store = new MemoryStore(clock)
  const abort = new AbortController()
  const run = (
    task: Task,
    work: Work,
    more: Partial<BatchOptions> = {},
    origin = new FakeOrigin() as SqlOrigin | FakeOrigin,
  ): Promise<BatchReport> => {
    const read = { params: {}, timeoutMs: 1000, requestIntervalMs: 0, traceId: '1'.repeat(32) }
    const { ttlMs, retries } = task
    const limits = { ttlMs, retries, keyEvents: 0 }
    const options = { ...read, ...limits, storeTimeoutMs: 5000, backoffBaseMs: 100, signal: abort.signal, ...more }
    return clock.until(runBatch(task, work, options, { origin, store, clock, random: () => 1 }))
  }
  return { clock, store, abort, run }
}

const three: Work = { kind: 'keys', keys: keys(3) }
const counts = ({ keys: { planned, written, failed, unknown } }: BatchReport) => [planned, written, failed, unknown]

describe('runBatch, writes', () => {
  it('runBatch writes again what failed and may pass, only that, with growing pauses', async () => {
    const { clock, store, run } = table()
    const at: number[] = []
    store.onWrite = () => void at.push(clock.elapsedMs)
    store.faultOf = ({ key }) => (key !== 'k:1' && store.writes.length < 4 ? passing : undefined)
    const report = await run(loadTask({ retries: 3 }), three)
    assertEquals(
      store.writes.map((write) => write.keys),
      [keys(3), ['k:2', 'k:3'], ['k:2', 'k:3'], ['k:2', 'k:3']],
    )
    assertEquals(at, [0, 100, 300, 700])
    assertEquals([counts(report), report.firstError], [[3, 3, 0, 0], null])
  })

  it('runBatch leaves what does not pass, and says so once for each key', async () => {
    const { store, run } = table()
    store.faultOf = ({ key }) => (key === 'k:1' ? lasting : key === 'k:2' ? passing : undefined)
    const report = await run(loadTask({ retries: 2 }), three)
    assertEquals(
      store.writes.map((write) => write.keys),
      [keys(3), ['k:2'], ['k:2']],
    )
    assertEquals([counts(report), report.firstError?.key], [[3, 1, 2, 0], 'k:1'])
  })

  it('runBatch leaves a write alone that may have happened', async () => {
    const { store, run } = table()
    store.faultOf = () => ({ outcome: 'unknown', retryable: false })
    const report = await run(loadTask(), three)
    assertEquals([counts(report), report.firstError?.code], [[3, 0, 0, 3], 'WRITE_UNCONFIRMED'])
    assertEquals([store.writes.length, report.sample], [1, []])
  })

  it('runBatch writes once where no retry is wanted', async () => {
    const { store, run } = table()
    store.faultOf = () => passing
    assertEquals(counts(await run(loadTask({ retries: 0 }), three)), [3, 0, 3, 0])
    assertEquals(store.writes.length, 1)
  })

  it('runBatch ends within the bound on writing, whatever the pauses, and gives each try what is left of it', async () => {
    for (const backoffBaseMs of [100, 1000, 86_400_000]) {
      const { clock, store, run } = table()
      store.faultOf = () => passing
      const report = await run(loadTask({ retries: 20 }), three, { backoffBaseMs, storeTimeoutMs: 5000 })
      assertEquals(counts(report), [3, 0, 3, 0])
      assert(clock.elapsedMs <= 5001, `${clock.elapsedMs} ms with a first pause of ${backoffBaseMs} ms`)
      const bounds = store.writes.map((write) => write.options.timeoutMs)
      assertEquals(
        [bounds[0], bounds.every((bound, index) => index === 0 || bound < (bounds[index - 1] as number))],
        [5000, true],
      )
    }
  })

  it('runBatch that is cancelled in a pause writes nothing more, and gives back what it has not written', async () => {
    const { clock, store, abort, run } = table()
    store.faultOf = ({ key }) => (key === 'k:3' ? undefined : passing)
    clock.after(50, () => abort.abort())
    const report = await run(loadTask(), three)
    assertEquals([store.writes.length, counts(report), clock.elapsedMs], [1, [1, 1, 0, 0], 50])
    assertEquals(report.retryKeys, ['k:1', 'k:2'])
    assertEquals([report.firstError?.code, report.firstError?.key], ['JOB_CANCELLED', 'k:1'])
  })

  it('runBatch counts what was skipped as present or newer', async () => {
    const { store, run } = table()
    await run(loadTask(), { kind: 'keys', keys: ['k:1'] })
    const report = await run(loadTask({ mode: 'add' }), three)
    const { planned, written, skippedPresent } = report.keys
    assertEquals([planned, written, skippedPresent, report.sample.length], [3, 2, 1, 3])
    assertEquals(store.keys, keys(3))
  })

  it('runBatch writes a key that two rows name once, with the last row', async () => {
    const { store, run } = table()
    const client = new FakeSqlClient()
    client.answer = () => ({
      columns: ['id', 'n'],
      rows: [
        ['1', 'a'],
        ['2', 'b'],
        ['1', 'c'],
      ],
    })
    const task = sqlTask()
    const report = await run(
      task,
      { kind: 'range', range: { from: null, to: null, limit: null } },
      {},
      new SqlOrigin(task, client),
    )
    assertEquals([counts(report), report.originRequests], [[2, 2, 0, 0], 1])
    assertEquals(await store.read(['k:1']), [{ type: 'hash', fields: { id: '1', n: 'c' } }])
  })

  it('runBatch writes every page of a stream under the ticket that was taken before the stream was opened', async () => {
    const { store, run } = table()
    const client = new FakeSqlClient()
    client.answer = () => ({ columns: ['id', 'n'], rows: [1, 2, 3, 4, 5].map((id) => [String(id), 'old']) })
    const task = sqlTask()
    const origin = new SqlOrigin(task, client)
    const page = (stream: string): Work => ({ kind: 'page', stream, rows: 2, limit: null })
    await run(task, page('s'), {}, origin)
    // Each is read by a page that is asked for only now, from a cursor that is older.
    await store.unlink(['k:3', 'k:5'])
    const reports = [await run(task, page('s'), {}, origin), await run(task, page('s'), {}, origin)]
    assertEquals(
      reports.map(({ keys }) => [keys.written, keys.skippedNewer]),
      [
        [1, 1],
        [0, 1],
      ],
    )
    assertEquals(store.keys, ['k:1', 'k:2', 'k:4'])
    assertEquals(new Set(store.writes.map(({ options }) => options.ticket)), new Set(['0']))
    // A stream that begins anew reads anew.
    await run(task, { kind: 'page', stream: 't', rows: 9, limit: null }, {}, origin)
    assertEquals(store.keys.length, 5)
  })

  it('runBatch does not open a stream without a ticket', async () => {
    const { store, run } = table()
    store.onBegin = () => {
      throw new PrewarmError('STORE_UNREACHABLE', 'no Redis')
    }
    const client = new FakeSqlClient()
    const task = sqlTask()
    const page: Work = { kind: 'page', stream: 's', rows: 2, limit: null }
    const error = await assertRejects(() => run(task, page, {}, new SqlOrigin(task, client)), PrewarmError)
    assertEquals([error.code, client.queries, client.openCursors], ['STORE_UNREACHABLE', [], 0])
  })

  it('runBatch never writes its value again over another that was found in its place', async () => {
    const replaced: Fault = { outcome: 'failed', retryable: false, needsFreshRead: true }
    const { store, run } = table()
    store.faultOf = ({ key }) => (key === 'k:2' ? replaced : undefined)
    const report = await run(loadTask({ retries: 3 }), three)
    assertEquals([store.writes.length, report.retryKeys, counts(report)], [1, ['k:2'], [2, 2, 0, 0]])
  })
})
