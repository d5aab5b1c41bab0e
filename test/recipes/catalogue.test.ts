import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import type { CacheFacade, GetOptions, SetOutcome } from '../../src/cache/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { type CatalogueWarmerOptions, createCatalogueWarmer } from '../../src/recipes/catalogue/index.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeFacade } from '../fakes/facade.ts'

interface Warmed {
  key: string
  options: Omit<GetOptions<unknown>, 'fresh'>
}

/** A catalogue warmer by a clock that a test moves, over a cache that only loads and notes what it is asked. */
function bench(options: Partial<CatalogueWarmerOptions> = {}) {
  const clock = new FakeClock()
  const warmed: Warmed[] = []
  const outcomes = new Map<string, SetOutcome>()
  const cache: Pick<CacheFacade, 'warm'> = {
    async warm(key, given) {
      warmed.push({ key, options: given as Warmed['options'] })
      const aborted = new Promise<never>((_, reject) =>
        given.signal?.addEventListener('abort', () => reject(given.signal?.reason)),
      )
      const loading = (async () => given.load?.(key, { signal: AbortSignal.abort() }))()
      const value = await Promise.race([loading, aborted])
      return value === null || value === undefined ? 'no_value' : (outcomes.get(key) ?? 'written')
    },
  }
  const catalogue = createCatalogueWarmer({ cache, clock, ...options })
  return { clock, warmed, outcomes, catalogue, keys: () => warmed.splice(0).map(({ key }) => key) }
}

const MINUTE = 60_000

describe('createCatalogueWarmer', () => {
  it('warms critical tasks now and at each interval, the most important first', async () => {
    const { clock, catalogue, keys, warmed } = bench({ concurrency: 1 })
    catalogue.registerCriticalTask({ key: 'low', compute: () => 1, priority: -1 })
    catalogue.registerCriticalTask({ key: 'top', compute: () => 1, ttl: '10m', tags: ['films'], priority: 9 })
    catalogue.registerCriticalTask({ key: 'mid', compute: () => 1 })
    const handle = catalogue.startCacheWarming({ intervalMinutes: 5 })
    await handle.firstRound
    const [top, mid] = warmed
    assertEquals([top?.options.ttl, top?.options.tags], ['10m', ['films']])
    assertEquals(['ttl' in (mid?.options ?? {}), 'tags' in (mid?.options ?? {})], [false, false])
    assertEquals(keys(), ['top', 'mid', 'low'])
    await clock.advance(5 * MINUTE - 1)
    assertEquals(keys(), [])
    await clock.advance(1)
    assertEquals(keys(), ['top', 'mid', 'low'])
    await clock.advance(10 * MINUTE)
    assertEquals(keys().length, 6)
    await handle.stop()
    assertEquals(clock.pending, 0)
    await clock.advance(60 * MINUTE)
    assertEquals(keys(), [])
  })

  it('has one loop at a time, and may begin another after it was stopped', async () => {
    const { clock, catalogue, keys } = bench()
    catalogue.registerCriticalTask({ key: 'one', compute: () => 1 })
    const handle = catalogue.startCacheWarming({ intervalMinutes: 1 })
    assert(catalogue.startCacheWarming({ intervalMinutes: 2 }) === handle)
    await clock.advance(MINUTE)
    assertEquals(keys(), ['one', 'one'])
    assertEquals(catalogue.getWarmingStats().running, true)
    const stopping = [handle.stop(), handle.stop()]
    assertEquals(catalogue.getWarmingStats().running, false)
    await Promise.all(stopping)
    await using next = catalogue.startCacheWarming({ intervalMinutes: 2 })
    assert(next !== handle)
    await clock.advance(2 * MINUTE)
    assertEquals(keys(), ['one', 'one'])
  })

  it('never lets rounds overlap, and leaves out those that were due meanwhile', async () => {
    const { clock, catalogue } = bench()
    const begun: number[] = []
    let [running, most] = [0, 0]
    catalogue.registerCriticalTask({
      key: 'slow',
      async compute() {
        most = Math.max(most, ++running)
        begun.push(clock.elapsedMs / MINUTE)
        await clock.sleep(2.5 * MINUTE)
        running--
        return 1
      },
    })
    const handle = catalogue.startCacheWarming({ intervalMinutes: 1 })
    await clock.advance(7 * MINUTE)
    assertEquals([begun, most], [[0, 3, 6], 1])
    await handle.stop()
  })

  it('does not begin a loop before the rounds of the one before it have ended', async () => {
    const { clock, catalogue } = bench({
      cache: {
        async warm(key, { load }) {
          await load?.(key, { signal: AbortSignal.abort() })
          return 'written'
        },
      },
    })
    let [running, most, runs] = [0, 0, 0]
    catalogue.registerCriticalTask({
      key: 'deaf',
      async compute() {
        runs++
        most = Math.max(most, ++running)
        await clock.sleep(10)
        running--
      },
    })
    const first = catalogue.startCacheWarming()
    await turn()
    const stopping = first.stop()
    const second = catalogue.startCacheWarming()
    await clock.advance(10)
    await stopping
    await clock.advance(10)
    await second.firstRound
    assertEquals([most, runs], [1, 2])
    await second.stop()
  })

  it('ends a round that waits when it is stopped, and counts that as no failure', async () => {
    const { clock, catalogue, keys } = bench({ concurrency: 1 })
    catalogue.registerCriticalTask({ key: 'hangs', compute: () => new Promise(() => {}), priority: 1 })
    catalogue.registerCriticalTask({ key: 'after', compute: () => 1 })
    const handle = catalogue.startCacheWarming()
    await clock.advance(1)
    await handle.stop()
    assertEquals(keys(), ['hangs'])
    const [hangs] = catalogue.getWarmingStats().taskDetails
    assertEquals([hangs?.runs, hangs?.failures, hangs?.lastStatus], [0, 0, null])
  })

  it('lets one task fail without the others, and tries it again', async () => {
    const { clock, catalogue, outcomes } = bench({ concurrency: 2 })
    let calls = 0
    catalogue.registerCriticalTask({
      key: 'flaky',
      priority: 3,
      async compute() {
        await clock.sleep(40)
        if (++calls === 1) throw new Error('redis://user:secret@host is away')
        return calls
      },
    })
    catalogue.registerCriticalTask({ key: 'none', priority: 2, compute: () => null })
    catalogue.registerCriticalTask({ key: 'newer', priority: 1, ttl: 5000, tags: ['a'], compute: () => 1 })
    outcomes.set('newer', 'skipped_newer')
    const handle = catalogue.startCacheWarming({ intervalMinutes: 1 })
    await clock.until(handle.firstRound)
    const stats = catalogue.getWarmingStats()
    assertEquals([stats.running, stats.tasks, stats.criticalKeys], [true, 3, ['flaky', 'none', 'newer']])
    const [flaky, none, newer] = stats.taskDetails
    assertEquals(flaky, {
      key: 'flaky',
      ttl: null,
      tags: [],
      priority: 3,
      lastWarmedAt: null,
      lastDurationMs: 40,
      lastStatus: 'failed',
      lastError: { code: 'ORIGIN_FAILED', message: 'redis://***@host is away' },
      runs: 1,
      failures: 1,
    })
    assertEquals([none?.lastStatus, none?.lastWarmedAt], ['no_value', null])
    assertEquals([newer?.lastStatus, newer?.lastWarmedAt], ['skipped_newer', '2023-11-14T22:13:20.000Z'])
    assertEquals([newer?.ttl, newer?.tags], [5000, ['a']])
    await clock.advance(MINUTE)
    await clock.advance(100)
    const [again] = catalogue.getWarmingStats().taskDetails
    assertEquals([again?.lastStatus, again?.lastError, again?.runs, again?.failures], ['written', null, 2, 1])
    assertEquals(again?.lastWarmedAt, '2023-11-14T22:14:20.040Z')
    assertEquals(flaky?.runs, 1, 'a snapshot')
    await handle.stop()
  })

  it('computes at most so many at once', async () => {
    const { clock, catalogue } = bench({ concurrency: 3 })
    let [running, most] = [0, 0]
    for (let number = 0; number < 10; number++) {
      catalogue.registerCriticalTask({
        key: `k${number}`,
        async compute() {
          most = Math.max(most, ++running)
          await clock.sleep(5)
          running--
          return 1
        },
      })
    }
    await using handle = catalogue.startCacheWarming()
    await clock.until(handle.firstRound)
    assertEquals(most, 3)
  })

  it('ends a task that is taken back, and takes its key again', async () => {
    const { catalogue, keys } = bench()
    const end = catalogue.registerCriticalTask({ key: 'one', compute: () => 1 })
    assertThrows(
      () => catalogue.registerCriticalTask({ key: 'one', compute: () => 2 }),
      PrewarmError,
      "'one' is registered",
    )
    end()
    catalogue.registerCriticalTask({ key: 'one', compute: () => 3, priority: 7 })
    end()
    assertEquals(
      catalogue.getWarmingStats().taskDetails.map(({ priority }) => priority),
      [7],
    )
    await using handle = catalogue.startCacheWarming({ enableCriticalWarming: false })
    await handle.firstRound
    assertEquals(keys(), [])
  })

  it('warms one value now', async () => {
    const { catalogue, warmed } = bench()
    const value = { key: 'film:1', ttl: '5m', tags: ['films'], compute: () => ({ title: 'Alien' }) }
    assertEquals(await catalogue.warmCache(value), 'written')
    assertEquals(await catalogue.warmCache({ key: 'film:2', compute: () => undefined }), 'no_value')
    const [film] = warmed
    assertEquals([film?.key, film?.options.ttl, film?.options.tags], ['film:1', '5m', ['films']])
    const boom = new Error('no database')
    const thrown = await assertRejects(() =>
      catalogue.warmCache({ key: 'film:3', compute: () => Promise.reject(boom) }),
    )
    assert(thrown === boom)
    assertEquals(catalogue.getWarmingStats().tasks, 0)
  })

  it('warms what is predicted, by the tasks of the warmer', async () => {
    const warmer = new FakeFacade()
    const { clock, catalogue } = bench({ warmer, patternLimit: 30 })
    warmer.hot = ['film:1', 'film:2'].map((key) => ({ key, score: 1, reason: 'read often' }))
    const handle = catalogue.startCacheWarming({ intervalMinutes: 1, enablePatternWarming: true })
    await turn()
    assertEquals(warmer.calls, [['predict', { limit: 30, windowMs: 3_600_000 }]])
    assertEquals(
      warmer.submitted.map(({ request }) => request.keys),
      [['film:1', 'film:2']],
    )
    assertEquals(catalogue.getWarmingStats().lastPatternRun, null)
    await clock.advance(5 * MINUTE)
    assertEquals(warmer.submitted.length, 1, 'a round that runs is not overtaken')
    warmer.submitted[0]?.end('partial')
    await handle.firstRound
    assertEquals(catalogue.getWarmingStats().lastPatternRun, {
      at: '2023-11-14T22:18:20.000Z',
      predicted: 2,
      written: 2,
      status: 'partial',
      error: { code: 'ORIGIN_NO_VALUE', message: 'no value', key: 'film:3' },
    })
    warmer.hot = []
    await clock.advance(MINUTE)
    assertEquals([warmer.submitted.length, catalogue.getWarmingStats().lastPatternRun?.status], [1, 'skipped'])
    warmer.failure = new PrewarmError('STORE_UNREACHABLE', 'no Redis')
    await clock.advance(MINUTE)
    const failed = catalogue.getWarmingStats().lastPatternRun
    assertEquals([failed?.status, failed?.error], ['failed', { code: 'STORE_UNREACHABLE', message: 'no Redis' }])
    warmer.failure = new PrewarmError('KEYS_UNMATCHED', 'No task has any of them')
    await clock.advance(MINUTE)
    assertEquals(catalogue.getWarmingStats().lastPatternRun?.status, 'skipped')
    await handle.stop()
  })

  it('refuses what can not be, and starts nothing then', () => {
    const { catalogue } = bench()
    const refused = assertThrows(
      () => catalogue.startCacheWarming({ enablePatternWarming: true }),
      PrewarmError,
      'give createCatalogueWarmer a warmer',
    )
    assertEquals(refused.code, 'USAGE')
    for (const intervalMinutes of [0, -1, Number.NaN, 10_081])
      assertThrows(
        () => catalogue.startCacheWarming({ intervalMinutes }),
        PrewarmError,
        `intervalMinutes is ${intervalMinutes}, expected`,
      )
    assertEquals(catalogue.getWarmingStats().running, false)
    assertThrows(
      () => bench({ concurrency: 0 }),
      PrewarmError,
      'concurrency is 0, expected a whole number from 1 to 100',
    )
    assertThrows(() => bench({ patternLimit: 0 }), PrewarmError, 'patternLimit is 0')
    assertThrows(() => catalogue.registerCriticalTask({ key: '', compute: () => 1 }), PrewarmError, "key is ''")
    const task = { key: 'x', compute: () => 1, priority: Number.NaN }
    assertThrows(() => catalogue.registerCriticalTask(task), PrewarmError, "priority of 'x' is NaN")
  })
})
