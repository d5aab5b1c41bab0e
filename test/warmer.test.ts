import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import { z } from 'zod'
import { type LoadOptions, load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import type { JobRequest } from '../src/types.ts'
import { turn } from './fakes/clock.ts'
import { keys } from './fakes/tasks.ts'
import { type Bench, benchOf } from './fakes/warmer.ts'
import { FakeWorker } from './fakes/worker.ts'

const task = (options: Partial<LoadOptions> = {}) =>
  load({
    key: 'k:{id}',
    select: () => keys(120),
    load: (wanted) => new Map(wanted.map((key) => [key, { key }])),
    ...options,
  })

/** A load that ends when it is told to, or when it is aborted. */
function gate() {
  let open!: () => void
  const opened = new Promise<void>((resolve) => (open = resolve))
  const loading: LoadOptions['load'] = async (wanted, { signal }) => {
    await Promise.race([
      opened,
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ])
    return new Map(wanted.map((key) => [key, { key }]))
  }
  return { open, load: loading }
}

const run = ({ clock, warmer }: Bench, request?: JobRequest) => clock.until(warmer.submit(request).result)

function codeOf(work: () => unknown): string {
  return assertThrows(work, PrewarmError).code
}

describe('Warmer', () => {
  it('submit warms every key of a task and says so', async () => {
    const bench = benchOf({ one: task({ priority: 7 }) })
    const result = await run(bench)
    assertEquals(bench.store.keys.sort(), keys(120).sort())
    assertEquals([result.status, result.coverage, result.keys.planned, result.keys.written], ['success', 1, 120, 120])
    assertEquals([result.tasks[0]?.task, result.tasks[0]?.priority, result.tasks[0]?.firstError], ['one', 7, null])
    assertEquals(result.tasks[0]?.originRequests, 4)
    assertEquals(/^[0-9a-f]{32}$/.test(result.traceId), true)
  })

  it('submit runs the warmest task first, whatever the order of the configuration', async () => {
    const select = (name: string) => () => Array.from({ length: 60 }, (_, at) => ({ id: `${name}${at}` }))
    const tasks = {
      cold: task({ select: select('cold'), priority: 1 }),
      hot: task({ select: select('hot'), priority: 90 }),
    }
    const bench = benchOf(tasks, { concurrentWarmers: 1 })
    await run(bench)
    assertEquals(
      bench.store.writes.map((write) => write.keys[0]?.slice(2, 5)),
      ['hot', 'hot', 'col', 'col'],
    )
  })

  it('submit tells of each key that went wrong, and warms the others', async () => {
    const bench = benchOf({ one: task({ load: (wanted) => new Map(wanted.slice(1).map((key) => [key, 1])) }) })
    const { status, keys: counts, tasks, coverage } = await run(bench)
    assertEquals([status, counts.written, counts.failed], ['partial', 117, 3])
    assertEquals(tasks[0]?.firstError?.code, 'ORIGIN_NO_VALUE')
    assertEquals(coverage, 117 / 120)
  })

  it('submit tries again what may pass', async () => {
    let calls = 0
    const bench = benchOf({
      one: task({
        load(wanted) {
          if (++calls === 1) throw new Error('not yet')
          return new Map(wanted.map((key) => [key, 1]))
        },
      }),
    })
    assertEquals((await run(bench, { count: 10 })).status, 'success')
    assertEquals([calls, bench.clock.elapsedMs], [2, 50])
  })

  it('submit takes count, batchSize, batchDelayMs, priority and traceId', async () => {
    const bench = benchOf({ one: task() })
    const traceId = 'a'.repeat(32)
    const result = await run(bench, { count: 30, batchSize: 10, batchDelayMs: 100, priority: 5, traceId })
    assertEquals(
      bench.store.writes.map((write) => write.keys.length),
      [10, 10, 10],
    )
    assertEquals([bench.clock.elapsedMs, result.tasks[0]?.priority, result.traceId], [200, 5, traceId])
  })

  it('submit of keys that another job has on its way warms none of them twice', async () => {
    const { open, load: gated } = gate()
    const bench = benchOf({ one: task({ load: gated }) })
    const first = bench.warmer.submit({ count: 50 })
    await turn()
    const second = bench.warmer.submit({ count: 80 })
    const third = bench.warmer.submit({ count: 40 })
    await turn()
    open()
    const results = await bench.clock.until(Promise.all([first.result, second.result, third.result]))
    assertEquals(
      results.map(({ status }) => status),
      ['success', 'success', 'skipped'],
    )
    assertEquals(
      results.map(({ keys: counts }) => counts.written),
      [50, 30, 0],
    )
    assertEquals(
      results.map(({ tasks }) => tasks[0]?.deduplicated),
      [0, 50, 40],
    )
    assertEquals((await run(bench, { count: 10 })).keys.written, 10)
  })

  it('cancel ends the job, and nothing of it writes after its result', async () => {
    const bench = benchOf({ one: task({ load: gate().load }) })
    const job = bench.warmer.submit()
    await turn()
    job.cancel()
    job.cancel()
    const result = await bench.clock.until(job.result, 0)
    assertEquals([result.status, result.keys.planned, result.keys.failed], ['cancelled', 120, 120])
    assertEquals([job.status, bench.store.keys, bench.clock.pending], ['cancelled', [], 2])
  })

  it('cancel leaves the keys free for another job', async () => {
    const { open, load: gated } = gate()
    const bench = benchOf({ one: task({ load: gated }) })
    const job = bench.warmer.submit()
    await turn()
    job.cancel()
    await bench.clock.until(job.result)
    open()
    assertEquals((await run(bench)).keys.written, 120)
  })

  it('a job that takes too long fails with JOB_TIMEOUT, at its time', async () => {
    const bench = benchOf({ one: task({ load: gate().load, timeoutMs: '1h' }) })
    const result = await run(bench, { timeoutMs: 700 })
    assertEquals([result.status, bench.clock.elapsedMs], ['failed', 700])
    assertEquals([result.keys.failed, result.tasks[0]?.firstError?.code], [120, 'JOB_TIMEOUT'])
  })

  it('a job that takes too long to plan fails as well', async () => {
    const bench = benchOf({ one: task({ select: () => new Promise(() => {}), timeoutMs: '1h' }) })
    const result = await run(bench, { timeoutMs: 700 })
    assertEquals([result.status, result.coverage, bench.clock.elapsedMs], ['failed', 0, 700])
    assertEquals(result.tasks[0]?.firstError?.code, 'JOB_TIMEOUT')
  })

  it('a job whose workers do not start is bounded by its own timeout', async () => {
    const bench = benchOf({ one: task() }, { startWorker: (clock) => new FakeWorker(clock, { setup: 'silent' }).port })
    const result = await run(bench, { timeoutMs: 700 })
    assertEquals([result.status, bench.clock.elapsedMs], ['failed', 700])
  })

  it('a job fails with the reason when the store cannot be reached', async () => {
    const bench = benchOf({ one: task() })
    bench.store.onConnect = () => Promise.reject(new PrewarmError('STORE_UNREACHABLE', 'no Redis'))
    const result = await run(bench)
    assertEquals(
      [result.status, result.coverage, result.tasks[0]?.firstError?.code],
      ['failed', 0, 'STORE_UNREACHABLE'],
    )
  })

  it('a task that cannot list its keys fails alone', async () => {
    const bad = task({ key: 'bad:{id}', retries: 0, select: () => Promise.reject(new TypeError('wrong')) })
    const bench = benchOf({ bad, good: task() })
    const result = await run(bench)
    assertEquals(
      result.tasks.map(({ status }) => status),
      ['failed', 'success'],
    )
    assertEquals([result.status, result.tasks[0]?.firstError?.code], ['partial', 'ORIGIN_FAILED'])
  })

  it('submit refuses what cannot be met', () => {
    const { warmer } = benchOf({ one: task({ params: { limit: 5 }, tags: ['a'] }) })
    assertEquals(
      codeOf(() => warmer.submit({ tasks: ['two'] })),
      'TASK_UNKNOWN',
    )
    assertEquals(
      codeOf(() => warmer.submit({ tags: ['b'] })),
      'USAGE',
    )
    assertEquals(
      codeOf(() => warmer.submit({ critical: true })),
      'USAGE',
    )
    assertEquals(
      codeOf(() => warmer.submit({ params: { days: 1 } })),
      'PARAM_INVALID',
    )
    assertEquals(
      codeOf(() => warmer.submit({ params: { limit: 'x' } })),
      'PARAM_INVALID',
    )
    for (const traceId of ['', 'xyz', '0'.repeat(32), 'A'.repeat(32)])
      assertEquals(
        codeOf(() => warmer.submit({ traceId })),
        'USAGE',
      )
  })

  it('submit hands parameters, with the defaults, to select and load', async () => {
    const seen: unknown[] = []
    const params = z.object({ limit: z.number().default(3), word: z.string().default('w') })
    const select: LoadOptions['select'] = (context) => {
      seen.push(context.params)
      return keys(context.params.limit)
    }
    const bench = benchOf({ one: task({ params, select }) })
    assertEquals((await run(bench, { params: { limit: '7' } })).keys.written, 7)
    assertEquals(seen, [{ limit: 7, word: 'w' }])
  })

  it('stop cancels jobs, runs every clean-up even if one throws, leaves no timer, and is safe to call twice', async () => {
    const bench = benchOf({ one: task({ load: gate().load }) })
    const job = bench.warmer.submit()
    await turn()
    await bench.clock.until(Promise.all([bench.warmer.stop(), bench.warmer.stop()]), 1500)
    assertEquals((await job.result).status, 'cancelled')
    assertEquals([bench.cleanedUp, bench.store.isClosed, bench.clock.pending], [['first', 'second'], true, 0])
    assertEquals(
      codeOf(() => bench.warmer.submit()),
      'STOPPED',
    )
  })

  it('stop is bounded also where a load ignores its signal', async () => {
    const bench = benchOf({ one: task({ load: () => new Promise(() => {}), timeoutMs: '1h' }) })
    const job = bench.warmer.submit()
    await turn()
    await bench.clock.until(bench.warmer.stop(), 1500)
    assertEquals((await job.result).status, 'cancelled')
    assertEquals(bench.clock.pending, 0)
  })

  it('stop is bounded also while workers are starting', async () => {
    const bench = benchOf({ one: task() }, { startWorker: (clock) => new FakeWorker(clock, { setup: 'silent' }).port })
    const job = bench.warmer.submit()
    await turn()
    await bench.clock.until(bench.warmer.stop(), 2000)
    assertEquals((await job.result).status, 'cancelled')
    assertEquals(bench.clock.pending, 0)
  })

  it('start after stop is refused and starts nothing', async () => {
    const bench = benchOf({ one: task() })
    await bench.warmer.stop()
    assertEquals((await assertRejects(() => bench.warmer.start(), PrewarmError)).code, 'STOPPED')
    assertEquals([bench.pool.status(), bench.clock.pending], [[], 0])
  })

  it('stop without a start does nothing but clean up', async () => {
    const bench = benchOf({ one: task() })
    await bench.warmer[Symbol.asyncDispose]()
    assertEquals(bench.cleanedUp, ['first', 'second'])
  })

  it('status shows jobs, tasks and workers', async () => {
    const bench = benchOf({ one: task({ load: gate().load }) })
    const job = bench.warmer.submit()
    await turn()
    const { activeJobs, queuedTasks, queueDepth, workers } = bench.warmer.status()
    assertEquals([activeJobs, queuedTasks, [...queueDepth]], [1, 1, [[0, 1]]])
    const startedAt = new Date(bench.clock.nowMs()).toISOString()
    assertEquals(workers, [{ id: 'worker-0', state: 'busy', currentKey: 'k:1', startedAt }])
    assertEquals(
      (await bench.warmer.jobs()).map(({ id, traceId, status }) => [id, traceId, status]),
      [[job.id, job.traceId, 'queued']],
    )
    assert(job.progress()[0]?.total === 120)
    await bench.clock.until(bench.warmer.stop())
    assertEquals(bench.warmer.status().activeJobs, 0)
  })

  it('a plan that comes late and is empty ends the job when it comes', async () => {
    const { clock, warmer } = benchOf({ one: task({ select: () => clock.sleep(1500).then(() => []) }) })
    const startMs = clock.nowMs()
    const result = await clock.until(warmer.submit({ timeoutMs: 60_000 }).result)
    assertEquals([result.status, result.keys.planned], ['success', 0])
    assert(clock.nowMs() - startMs < 10_000, `${clock.nowMs() - startMs} ms`)
  })

  it('a start that failed is tried again by the next job', async () => {
    const bench = benchOf({ one: task() })
    const connect = bench.store.connect.bind(bench.store)
    bench.store.connect = async () => {
      throw new PrewarmError('STORE_UNREACHABLE', 'no Redis yet')
    }
    assertEquals((await run(bench)).tasks[0]?.firstError?.code, 'STORE_UNREACHABLE')
    bench.store.connect = connect
    assertEquals((await run(bench)).status, 'success')
  })
})
