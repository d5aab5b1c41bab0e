import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import { type LoadOptions, load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import type { WarmEvent } from '../src/events/types.ts'
import { turn } from './fakes/clock.ts'
import { configOf, keys } from './fakes/tasks.ts'
import { type Bench, benchOf } from './fakes/warmer.ts'

const task = (options: Partial<LoadOptions> = {}) =>
  load({
    key: 'k:{id}',
    select: () => keys(120),
    load: (wanted) => new Map(wanted.map((key) => [key, { key }])),
    ...options,
  })

/** A load that takes `ms` of the bench's clock. */
function slow(bench: () => Bench, ms: number): LoadOptions['load'] {
  return async (wanted, { signal }) => {
    await bench().clock.sleep(ms, signal)
    if (signal.aborted) throw signal.reason
    return new Map(wanted.map((key) => [key, { key }]))
  }
}

function slowBench(ms: number, rest: Parameters<typeof benchOf>[1] = {}): Bench {
  const bench: Bench = benchOf({ one: task({ load: slow(() => bench, ms), batchSize: 10 }) }, rest)
  return bench
}

const heard = ({ events }: Bench): WarmEvent[] => {
  const all: WarmEvent[] = []
  events.subscribe(({ event }) => void all.push(event))
  return all
}

describe('Warmer, emergency stop by hand', () => {
  it('halt lets nothing be written until resume, and then every key is', async () => {
    const bench = slowBench(100, { concurrentWarmers: 2 })
    const { warmer, clock, store } = bench
    const job = warmer.submit()
    await clock.advance(150)
    const before = store.writes.length
    assert(before > 0)
    assertEquals(await clock.until(warmer.halt('deploy')), { settled: true, halted: 2 })
    await clock.advance(60_000)
    assertEquals([store.writes.length, job.status], [before, 'running'])
    const { emergency, totals } = warmer.status()
    assertEquals([emergency.state === 'stopped' && [emergency.by, emergency.reason]], [['hand', 'deploy']])
    assertEquals(totals.emergencyStops, 1)
    warmer.resume()
    const result = await clock.until(job.result)
    assertEquals([result.status, result.keys.planned, result.keys.written], ['success', 120, 120])
    assertEquals(warmer.status().emergency, { state: 'none' })
  })

  it('a job that is submitted while halted asks the origin nothing before resume', async () => {
    let asked = 0
    const bench = benchOf({ one: task({ select: () => keys(++asked * 3) }) })
    await bench.clock.until(bench.warmer.halt())
    const job = bench.warmer.submit()
    await bench.clock.advance(10_000)
    assertEquals([asked, job.status], [0, 'queued'])
    bench.warmer.resume()
    assertEquals((await bench.clock.until(job.result)).status, 'success')
  })

  it('time in which everything is halted does not count against a job', async () => {
    const bench = slowBench(100, { concurrentWarmers: 1 })
    const job = bench.warmer.submit({ timeoutMs: 2000 })
    await bench.clock.advance(500)
    await bench.clock.until(bench.warmer.halt())
    await bench.clock.advance(60_000)
    bench.warmer.resume()
    assertEquals((await bench.clock.until(job.result)).status, 'success')
  })

  it('a job that is cancelled while halted ends', async () => {
    const bench = slowBench(100)
    const job = bench.warmer.submit()
    await bench.clock.advance(50)
    await bench.clock.until(bench.warmer.halt())
    job.cancel()
    assertEquals((await bench.clock.until(job.result)).status, 'cancelled')
  })

  it('stop ends a halted warmer', async () => {
    const bench = slowBench(100)
    const job = bench.warmer.submit()
    await bench.clock.advance(50)
    await bench.clock.until(bench.warmer.halt())
    await bench.clock.until(bench.warmer.stop())
    assertEquals([(await job.result).status, bench.clock.pending], ['cancelled', 0])
  })

  it('halt and resume are told once each, however often they are called', async () => {
    const bench = benchOf({ one: task() })
    const all = heard(bench)
    await bench.clock.until(bench.warmer.halt())
    await bench.clock.until(bench.warmer.halt())
    bench.warmer.resume()
    bench.warmer.resume()
    assertEquals(
      all.map(({ type }) => type),
      ['emergency_stop', 'emergency_resume'],
    )
  })
})

describe('Warmer, changes while running', () => {
  it('retune takes effect on the next batch', async () => {
    const bench = slowBench(100, { concurrentWarmers: 1 })
    const all = heard(bench)
    const job = bench.warmer.submit({ batchSize: 10 })
    await bench.clock.advance(150)
    await bench.warmer.retune({ concurrentWarmers: 4, defaultTtlMs: 5000 })
    const { clock, store } = bench
    const result = await clock.until(job.result)
    assertEquals(result.keys.written, 120)
    // One of 10 before, then four at once: 110 keys in 3 rounds.
    assert(clock.elapsedMs < 600, `${clock.elapsedMs}`)
    const ttls = await store.ttlsMs(keys(120))
    assert(Math.max(...ttls.slice(30)) <= 5000, `${Math.max(...ttls.slice(30))}`)
    assert(Math.max(...ttls.slice(0, 10)) > 5000)
    const changes = all.flatMap((event) => (event.type === 'config_changed' ? [event.changes] : []))
    assertEquals(changes, [{ concurrent_warmers: { from: 1, to: 4 }, default_ttl: { from: 3_600_000, to: 5000 } }])
  })

  it('retune refuses what is out of bounds, names it, and changes nothing', async () => {
    const { warmer } = benchOf({ one: task() })
    const before = warmer.config
    for (const [changes, expected] of [
      [{ maxOriginRps: 0 }, 'maxOriginRps is 0, expected a number from 0.1 to 1000000'],
      [{ retryAttempts: 1.5 }, 'retryAttempts is 1.5, expected a whole number from 0 to 20'],
      [
        { maxOriginRps: 5, defaultStrategy: 'best' },
        'defaultStrategy is "best", expected one of selective, breadth, priority',
      ],
      [
        { workers: 2 },
        'workers is 2, expected as before: whether workers are threads can only be changed by a restart',
      ],
      [{ speed: 2 }, 'speed is 2, expected one of maxOriginRps'],
    ] as const) {
      const error = await assertRejects(() => warmer.retune(changes as never), PrewarmError)
      assertEquals([error.code, error.message.startsWith(expected)], ['REQUEST_INVALID', true], error.message)
    }
    assertEquals(warmer.config, before)
  })

  it('reload goes on with tasks that are still there, and ends those that are not', async () => {
    const bench: Bench = benchOf(
      {
        stays: task({
          key: 's:{id}',
          select: () => Array.from({ length: 50 }, (_, id) => ({ id })),
          load: slow(() => bench, 100),
          batchSize: 10,
        }),
        goes: task({ load: slow(() => bench, 100), batchSize: 10 }),
      },
      { concurrentWarmers: 2 },
    )
    const job = bench.warmer.submit()
    await bench.clock.advance(150)
    const next = configOf(
      { stays: task({ key: 's:{id}', batchSize: 10 }) },
      { concurrentWarmers: 2, redis: 'redis://elsewhere' },
    )
    assertEquals(await bench.warmer.reload(next), ['redisUrl'])
    const result = await bench.clock.until(job.result)
    const [stays, goes] = ['stays', 'goes'].map((name) => result.tasks.find((one) => one.task === name))
    assertEquals([stays?.status, stays?.keys.written], ['success', 50])
    assertEquals([goes?.status, goes?.firstError?.code], ['failed', 'TASK_UNKNOWN'])
    assertEquals(goes?.keys.planned, 120)
  })
})

describe('Warmer, named keys', () => {
  it('submit warms only the keys that are named, each by the task whose template it matches', async () => {
    const bench = benchOf({ one: task(), two: task({ key: 'other:{id}', select: () => [] }) })
    const job = bench.warmer.submit({ keys: ['k:5', 'other:9', 'nobody:1'], ttlMs: 7000 })
    const result = await bench.clock.until(job.result)
    assertEquals(bench.store.keys.sort(), ['k:5', 'other:9'])
    assertEquals([result.status, result.keys.planned], ['success', 2])
    const [ttlMs] = await bench.store.ttlsMs(['k:5'])
    assert((ttlMs as number) <= 7000, `${ttlMs}`)
  })

  it('submit refuses keys of which none has a task', () => {
    const { warmer } = benchOf({ one: task() })
    const error = assertThrows(() => warmer.submit({ keys: ['nobody:1'] }), PrewarmError)
    assertEquals(error.code, 'KEYS_UNMATCHED')
    assertEquals(warmer.tasksOf(['nobody:1', 'k:2']).unmatched, ['nobody:1'])
  })

  it('a key that another job has on its way is not warmed twice', async () => {
    const bench = slowBench(100)
    const first = bench.warmer.submit({ keys: ['k:1', 'k:2'] })
    const second = bench.warmer.submit({ keys: ['k:2'] })
    await bench.clock.until(first.result)
    const result = await bench.clock.until(second.result)
    assertEquals([result.status, result.tasks[0]?.deduplicated], ['skipped', 1])
  })
})

describe('Warmer, what it tells', () => {
  it('jobs shows those that run and those that have ended, newest first', async () => {
    const bench = benchOf({ one: task() })
    const done = bench.warmer.submit({ source: 'http', strategy: 'breadth' })
    await bench.clock.until(done.result)
    await bench.clock.advance(5)
    const running = bench.warmer.submit()
    const [newest, oldest] = await bench.warmer.jobs()
    assertEquals([newest?.id, newest?.result, oldest?.id, oldest?.status], [running.id, null, done.id, 'success'])
    assertEquals([oldest?.source, oldest?.strategy, oldest?.result?.keys.written], ['http', 'breadth', 120])
    assertEquals((await bench.warmer.job(done.id))?.traceId, done.traceId)
    assertEquals([await bench.warmer.cancel(done.id), await bench.warmer.cancel('job-none')], [false, null])
    assertEquals(await bench.warmer.cancel(running.id), true)
    assertEquals((await bench.clock.until(running.result)).status, 'cancelled')
    const { totals } = bench.warmer.status()
    assertEquals([totals.jobs, totals.succeeded, totals.failed, totals.cacheWrites], [2, 1, 0, 120])
  })

  it('each job, batch and key is told of, keys at most as often as was said', async () => {
    const bench = benchOf({ one: task() }, { events: { keysPerSecond: 30 } })
    const all = heard(bench)
    const job = bench.warmer.submit({ parentSpanId: 'b7ad6b7169203331' })
    await bench.clock.until(job.result)
    const count = (type: string) => all.filter((event) => event.type === type).length
    assertEquals([count('job_started'), count('batch'), count('job_ended'), count('key')], [1, 3, 1, 30])
    const started = all.find(({ type }) => type === 'job_started')
    assertEquals(started?.type === 'job_started' && started.parent_span_id, 'b7ad6b7169203331')
    const key = all.find(({ type }) => type === 'key')
    assert(key?.type === 'key')
    assertEquals([key.task, key.status, key.job_id, key.trace_id], ['one', 'written', job.id, job.traceId])
    assert(
      all
        .filter((event) => event.type === 'batch')
        .reduce((sum, event) => sum + (event.type === 'batch' ? event.keys.written : 0), 0) === 120,
    )
  })

  it('keys that nobody listens for are not told of one by one', async () => {
    const bench = benchOf({ one: task() })
    const batches: number[] = []
    bench.warmer.on('batch', ({ keys: { written } }) => batches.push(written))
    await bench.clock.until(bench.warmer.submit().result)
    assertEquals(
      batches.reduce((sum, written) => sum + written, 0),
      120,
    )
    assertEquals(
      bench.events.since(0).events.filter(({ event }) => event.type === 'key'),
      [],
    )
  })

  it('a job whose lock is lost ends at once, as failed', async () => {
    const bench = slowBench(100, { concurrentWarmers: 1 })
    const lock = new AbortController()
    const job = bench.warmer.submit({ signal: lock.signal })
    await bench.clock.advance(150)
    lock.abort(new PrewarmError('LOCK_LOST', 'the lock was lost'))
    const result = await bench.clock.until(job.result, 1000)
    assertEquals([result.status, result.tasks[0]?.firstError?.code], ['partial', 'LOCK_LOST'])
    assertEquals(result.keys.planned, 120)
  })

  it('isWarm once a job has ended, or at its deadline', async () => {
    const bench = benchOf({ one: task() })
    assertEquals(bench.warmer.isWarm, false)
    await bench.clock.until(bench.warmer.submit().result)
    assertEquals(bench.warmer.isWarm, true)
    const idle = benchOf({ one: task() })
    await idle.clock.advance(300_000)
    assertEquals(idle.warmer.isWarm, true)
  })

  it('a shutdown leaves the record of a job as it was noted, so that the next start takes it up', async () => {
    const bench = slowBench(1000)
    const job = bench.warmer.submit()
    await job.noted
    await bench.clock.advance(100)
    await bench.clock.until(bench.warmer.stop())
    assertEquals([(await bench.jobLog.get(job.id))?.status, (await job.result).status], ['running', 'cancelled'])
  })

  it('resubmit takes a job up under its own id', async () => {
    const first = slowBench(1000)
    const job = first.warmer.submit({ count: 30 })
    await first.clock.advance(100)
    await first.clock.until(first.warmer.stop())
    const record = await first.jobLog.get(job.id)
    const second = benchOf({ one: task() })
    const again = second.warmer.resubmit(record as never)
    const result = await second.clock.until(again.result)
    assertEquals([result.jobId, result.traceId, result.keys.written], [job.id, job.traceId, 30])
    await turn()
  })
})
