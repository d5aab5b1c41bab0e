import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import type { Bench } from '../fakes/warmer.ts'
import { bunWarmer, statuses } from './support.ts'

describe('BunCacheWarmer', () => {
  it('runs tasks in order of priority, equals as they were added, one after the other where concurrency is 1', async () => {
    const bench = bunWarmer()
    const events: string[] = []
    const priorities = { low: 1, b: 50, first: 100, c: 50, none: undefined }
    for (const [name, priority] of Object.entries(priorities)) {
      bench.warmer.addTask({
        name,
        ...(priority === undefined ? {} : { priority }),
        async execute() {
          events.push(`${name} begins`)
          await bench.benches[0]?.clock.sleep(20)
          events.push(`${name} ends`)
        },
      })
    }
    const order = ['first', 'b', 'c', 'low', 'none']
    assertEquals(bench.warmer.tasks, order)
    const results = await bench.run(1)
    assertEquals(
      events,
      order.flatMap((name) => [`${name} begins`, `${name} ends`]),
    )
    assertEquals(
      results.map(({ name }) => name),
      order,
    )
    assertEquals(
      results.map(({ durationNs }) => durationNs),
      order.map(() => 20_000_000),
    )
    assertEquals(bench.warmer.performance.summary().low?.count, 1)
  })

  it('runs as many at once as it is told, and no more', async () => {
    const bench = bunWarmer()
    let [running, most] = [0, 0]
    for (let number = 0; number < 9; number++) {
      bench.warmer.addTask({
        name: `task ${number}`,
        async execute() {
          most = Math.max(most, ++running)
          await bench.benches[0]?.clock.sleep(50)
          running--
        },
      })
    }
    await bench.run(3)
    assertEquals(most, 3)
    assertEquals(bench.given[0]?.env?.WARMING_CONCURRENT_WARMERS, undefined)
  })

  it('lets one fail without the others, and tells of each as allSettled does', async () => {
    const bench = bunWarmer()
    const boom = new TypeError('no such user')
    bench.warmer
      .addTask({ name: 'good', execute: () => ({ films: [1, 2] }) })
      .addTask({ name: 'bad', priority: 9, execute: () => Promise.reject(boom) })
      .addTask({ name: 'thrown', execute: () => fail(boom) })
      .addTask({ name: 'no JSON', execute: () => 10n })
      .addTask({ name: 'nothing', execute: () => {} })
    const results = await bench.run(2)
    assertEquals(statuses(results), [
      'bad rejected',
      'good fulfilled',
      'thrown rejected',
      'no JSON rejected',
      'nothing fulfilled',
    ])
    const settled: PromiseSettledResult<unknown>[] = results
    assertEquals(
      settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
      [{ films: [1, 2] }, undefined],
    )
    const [bad, , , noJson] = results
    assert(bad?.status === 'rejected' && noJson?.status === 'rejected')
    assert(bad.reason === boom, 'the very error that it threw')
    assertEquals(bad.error.code, 'ORIGIN_FAILED')
    assertStringIncludes(bad.error.message, "load of task 'bad' threw: no such user")
    assertEquals(noJson.error.code, 'VALUE_INVALID')
  })

  it('stores what a task gives as JSON under its key, and a record of the run where it gives nothing', async () => {
    const bench = bunWarmer({ keyPrefix: 'shop:' })
    bench.warmer
      .addTask({ name: 'top films', ttl: '5m', execute: () => [{ film: 1 }] })
      .addTask({ name: 'zero', key: 'count:films', execute: () => 0 })
      .addTask({ name: 'a:b', execute: () => null })
    const results = await bench.run()
    assertEquals(
      results.map(({ key }) => key),
      ['shop:top films', 'count:films', 'shop:a%3Ab'],
    )
    assertEquals(await bench.stored('shop:top films'), { type: 'string', value: '[{"film":1}]' })
    assertEquals(await bench.stored('count:films'), { type: 'string', value: '0' })
    const record = (await bench.stored('shop:a%3Ab')) as { value: string }
    assertEquals(Object.keys(JSON.parse(record.value)), ['task', 'ranAt', 'durationNs'])
    assertEquals(JSON.parse(record.value).task, 'a:b')
    const [leftMs = 0] = (await bench.benches[0]?.store.ttlsMs(['shop:top films'])) ?? []
    assert(leftMs > 260_000 && leftMs <= 300_000, `${leftMs} ms`)
  })

  it('calls a task once, and again only where it is told to', async () => {
    const bench = bunWarmer()
    const calls = { once: 0, thrice: 0 }
    bench.warmer.addTask({ name: 'once', execute: () => fail(new Error(`${++calls.once}`)) })
    bench.warmer.addTask({
      name: 'thrice',
      retries: 2,
      execute: () => (++calls.thrice < 3 ? fail(new Error('not yet')) : calls.thrice),
    })
    const results = await bench.run()
    assertEquals([calls, statuses(results)], [{ once: 1, thrice: 3 }, ['once rejected', 'thrice fulfilled']])
  })

  it('aborts a task that takes too long', async () => {
    const bench = bunWarmer({ taskTimeout: '2s' })
    // The bound on a read is the real clock's, not the one that tests move.
    bench.warmer.addTask({ name: 'hangs', timeout: 20, execute: ({ signal }) => untilAborted(signal) })
    const [hangs] = await bench.warmer.executeTasks()
    assert(hangs?.status === 'rejected')
    assertEquals([hangs.error.code, (hangs.reason as PrewarmError).code], ['ORIGIN_TIMEOUT', 'ORIGIN_TIMEOUT'])
  })

  it('ends when its signal aborts: what runs is told, what waits never begins', async () => {
    const bench = bunWarmer()
    const abort = new AbortController()
    let begun = 0
    for (const name of ['one', 'two']) {
      bench.warmer.addTask({
        name,
        async execute({ signal }) {
          begun++
          abort.abort()
          await untilAborted(signal)
        },
      })
    }
    const results = await bench.run(1, { signal: abort.signal })
    assertEquals(
      results.map((one) => one.status === 'rejected' && one.error.code),
      ['JOB_CANCELLED', 'JOB_CANCELLED'],
    )
    assertEquals([begun, results[1]?.durationNs], [1, 0])
  })

  it('refuses a second call while one runs, and may be called again after it', async () => {
    const bench = bunWarmer()
    let calls = 0
    bench.warmer.addTask({ name: 'one', execute: () => ++calls })
    const first = bench.run()
    const second = await assertRejects(() => bench.warmer.executeTasks(), PrewarmError, 'executeTasks runs already')
    assertEquals(second.code, 'CONFLICT')
    assertEquals(statuses(await first), ['one fulfilled'])
    assertEquals(statuses(await bench.run()), ['one fulfilled'])
    assertEquals(calls, 2)
    assertEquals(
      bench.benches.map((one) => one.store.isClosed),
      [true, true],
    )
  })

  it('stops its warmer also when a store is away, and says so for each task', async () => {
    const bench = bunWarmer()
    let calls = 0
    bench.warmer.addTask({ name: 'one', execute: () => ++calls })
    const { promise: made, resolve } = Promise.withResolvers<Bench>()
    bench.onBench((one) => {
      one.store.onConnect = () => fail(new PrewarmError('STORE_UNREACHABLE', 'no Redis'))
      resolve(one)
    })
    const ended = bench.warmer.executeTasks()
    const [one] = await (await made).clock.until(ended)
    assert(one?.status === 'rejected')
    assertEquals([one.error, calls], [{ code: 'STORE_UNREACHABLE', message: 'no Redis' }, 0])
    assertEquals((await made).store.isClosed, true)
  })

  it('gives what the program says precedence over the environment', async () => {
    const bench = bunWarmer({ redis: 'redis://mine', ttl: '1m', maxOriginRps: 9, timeout: '1s' })
    bench.warmer.addTask({ name: 'one', execute: () => 1 })
    bench.warmer.addTask({ name: 'two', priority: 7, timeout: '3s', ttl: '2m', retries: 1, execute: () => 1 })
    await bench.run(2)
    const [given] = bench.given
    assertEquals([given?.redisUrl, given?.config?.redis, given?.workers], ['redis://mine', 'redis://mine', 0])
    assertEquals([given?.config?.defaultTtl, given?.config?.maxOriginRps, given?.config?.jobTimeoutMs], ['1m', 9, '1s'])
    const definitions = Object.values(given?.config?.tasks ?? {})
    assertEquals(
      definitions.map(({ priority, timeoutMs, ttl, retries }) => [priority, timeoutMs, ttl, retries]),
      [
        [7, '3s', '2m', 1],
        [0, '1m', undefined, 0],
      ],
    )
    const { WARMING_DEFAULT_TTL, REDIS_URL } = given?.env ?? {}
    assertEquals([WARMING_DEFAULT_TTL, REDIS_URL], [undefined, 'redis://of-the-environment'])
    const plain = bunWarmer()
    plain.warmer.addTask({ name: 'one', execute: () => 1 })
    await plain.run()
    assertEquals([plain.given[0]?.redisUrl, plain.given[0]?.env?.WARMING_DEFAULT_TTL], [undefined, '5'])
  })

  it('does nothing where there is nothing to do', async () => {
    const { warmer, benches } = bunWarmer()
    warmer.addTask({ name: 'one', execute: () => 1 })
    assertEquals([warmer.removeTask('one'), warmer.removeTask('one')], [true, false])
    assertEquals([await warmer.executeTasks(), benches.length], [[], 0])
  })
})

function fail(error: Error): never {
  throw error
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}
