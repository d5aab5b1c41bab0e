import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import type { ConfigDefinition, LoadOptions } from '../src/config/define.ts'
import { load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import type { Strategy } from '../src/job/strategy/types.ts'
import type { JobRequest, JobResult } from '../src/types.ts'
import { turn } from './fakes/clock.ts'
import { demandOf } from './fakes/strategy.ts'
import { type Bench, benchOf } from './fakes/warmer.ts'

interface Stage extends Bench {
  /** Keys in the order in which they were loaded. */
  loaded: string[]
  run(request?: JobRequest): Promise<JobResult>
}

type Options = Partial<LoadOptions> & Pick<LoadOptions, 'key'>

/** A warmer that takes one key at a time, with these reads an hour. */
function stage(
  tasks: Record<string, Options>,
  { reads = {}, ...rest }: Partial<ConfigDefinition> & { reads?: Record<string, number> } = {},
): Stage {
  const loaded: string[] = []
  const noted = (keys: readonly string[]) => {
    loaded.push(...keys)
    return new Map(keys.map((key) => [key, { key }]))
  }
  const declared = Object.entries(tasks).map(([name, options]) => [name, load({ load: noted, ...options })] as const)
  const bench = benchOf(Object.fromEntries(declared), {
    concurrentWarmers: 1,
    maxBatchSize: 1,
    demand: async () => demandOf(reads),
    ...rest,
  })
  const run = (request: JobRequest = {}) => bench.clock.until(bench.warmer.submit(request).result)
  return { ...bench, loaded, run }
}

const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)

describe('a warmer’s strategies', () => {
  it('priority warms the hottest first, over all tasks, and the rest in the order listed', async () => {
    const one = stage(
      {
        films: { key: 'film:{id}', select: () => ids(1, 5) },
        vital: { key: 'vital:{id}', priority: 1, select: () => ids(1, 3) },
      },
      { reads: { 'film:4': 60, 'vital:2': 90, 'film:2': 15 } },
    )
    // Both plans must be there before the first batch goes.
    one.warmer.retune({ concurrentWarmers: 1 })
    const { status } = await one.run()
    assertEquals(status, 'success')
    const first = one.loaded.indexOf('film:4')
    assert(one.loaded.indexOf('vital:2') < first && first < one.loaded.indexOf('film:2'), one.loaded.join())
    assertEquals(
      one.loaded.filter((key) => key.startsWith('film')),
      ['film:4', 'film:2', 'film:1', 'film:3', 'film:5'],
    )
  })

  it('priority is as ever where no read is known', async () => {
    const one = stage({
      films: { key: 'film:{id}', select: () => ids(1, 3) },
      vital: { key: 'v:{id}', priority: 1, select: () => ids(1, 2) },
    })
    await one.run()
    assertEquals(one.loaded, ['v:1', 'v:2', 'film:1', 'film:2', 'film:3'])
  })

  it('takes the hottest of what is listed, where only some are wanted and reads are known', async () => {
    const tasks = { films: { key: 'film:{id}', select: () => ids(1, 1000) } }
    const reads = { 'film:900': 9, 'film:7': 5 }
    const hot = stage(tasks, { reads })
    const result = await hot.run({ count: 3 })
    assertEquals([hot.loaded, result.keys.planned], [['film:900', 'film:7', 'film:1'], 3])
    for (const [request, expected] of [
      [{ strategy: 'selective', count: 2 }, ['film:900', 'film:7']],
      [{ order: 'given', count: 2 }, ['film:1', 'film:2']],
    ] as const) {
      const other = stage(tasks, { reads })
      await other.run(request)
      assertEquals(other.loaded, [...expected])
    }
    const cold = stage(tasks)
    await cold.run({ count: 2, strategy: 'selective' })
    assertEquals(cold.loaded, ['film:1', 'film:2'])
  })

  it('makes do with the first of an endless list, and with what was listed before it failed, once there are enough', async () => {
    function* endless() {
      for (let id = 1; ; id++) yield id
    }
    function* failing() {
      yield* ids(1, 5)
      throw new Error('no more')
    }
    for (const select of [endless, failing]) {
      const one = stage({ films: { key: 'film:{id}', select } }, { reads: { 'film:4': 1 } })
      const { status } = await one.run({ count: 2 })
      assertEquals([status, one.loaded], ['success', ['film:4', 'film:1']])
    }
    const few = stage({ films: { key: 'film:{id}', select: failing, retries: 0 } }, { reads: { 'film:4': 1 } })
    assertEquals((await few.run({ count: 6 })).status, 'failed')
  })

  it('breadth begins children when their parents are planned, and sends parents first', async () => {
    const listed = Promise.withResolvers<number[]>()
    const one = stage({
      reviews: { key: 'film:{id}:reviews', priority: 100, select: () => ids(1, 2) },
      films: { key: 'film:{id}', select: () => listed.promise },
      prices: { key: 'price:{id}', parent: 'reviews', priority: 50, select: () => ids(1, 2) },
    })
    const result = one.run({ strategy: 'breadth' })
    await one.clock.advance(4000)
    assertEquals(one.loaded, [])
    listed.resolve(ids(1, 3))
    assertEquals((await result).status, 'success')
    const parents = ['film:1', 'film:2', 'film:3']
    assertEquals(one.loaded, [...parents, 'film:1:reviews', 'film:2:reviews', 'price:1', 'price:2'])
  })

  it('breadth can be stopped while children wait for their parents’ plan', async () => {
    const one = stage({
      reviews: { key: 'film:{id}:reviews', select: () => ids(1, 2) },
      films: { key: 'film:{id}', select: () => new Promise<number[]>(() => {}), timeoutMs: 60_000 },
    })
    const handle = one.warmer.submit({ strategy: 'breadth' })
    await one.clock.advance(2000)
    handle.cancel()
    const result = await one.clock.until(handle.result)
    assertEquals([result.status, one.loaded], ['cancelled', []])
  })

  it('breadth goes on with children where the parents have no plan', async () => {
    const fails = () => {
      throw new Error('no list')
    }
    const one = stage({
      films: { key: 'film:{id}', select: fails, retries: 0 },
      reviews: { key: 'film:{id}:reviews', select: () => ids(1, 2) },
    })
    const { status } = await one.run({ strategy: 'breadth' })
    assertEquals([status, one.loaded], ['partial', ['film:1:reviews', 'film:2:reviews']])
  })

  it('keeps the order of keys that are named, unless a strategy is, too', async () => {
    const tasks = { films: { key: 'film:{id}' } }
    const reads = { 'film:2': 9 }
    const keys = ['film:3', 'film:1', 'film:2']
    const given = stage(tasks, { reads })
    await given.run({ keys })
    const ranked = stage(tasks, { reads })
    await ranked.run({ keys, strategy: 'priority' })
    assertEquals([given.loaded, ranked.loaded], [keys, ['film:2', 'film:3', 'film:1']])
  })

  it('a strategy of the user’s orders, and leaves out; that is told, and is no part of the plan', async () => {
    const odd: Strategy = {
      rank: (keys) => ({ keys: keys.filter((_, at) => at % 2 === 0).reverse(), priorities: 5 }),
    }
    const one = stage(
      { films: { key: 'film:{id}', select: () => ids(1, 7) } },
      { strategies: { odd }, defaultStrategy: 'odd' },
    )
    const { status, keys, tasks, coverage } = await one.run()
    assertEquals([status, keys.planned, tasks[0]?.notChosen, coverage], ['success', 4, 3, 1])
    assertEquals(one.loaded, ['film:7', 'film:5', 'film:3', 'film:1'])
    assertEquals((await one.warmer.jobs())[0]?.strategy, 'odd')
    const few = await one.run({ count: 2 })
    assertEquals([few.keys.planned, few.tasks[0]?.notChosen], [2, undefined])
    assertEquals('notChosen' in ((await one.run({ strategy: 'priority' })).tasks[0] ?? {}), false)
  })

  it('a strategy of the user’s that fails, fails its task and no other', async () => {
    const picky: Strategy = {
      rank(keys, { task }) {
        if (task === 'films') throw new Error('not these')
        return { keys, priorities: 1 }
      },
    }
    const one = stage(
      { films: { key: 'film:{id}', select: () => ids(1, 2) }, rates: { key: 'rate:{id}', select: () => ids(1, 2) } },
      { strategies: { picky } },
    )
    const { status, tasks } = await one.run({ strategy: 'picky' })
    assertEquals([status, one.loaded], ['partial', ['rate:1', 'rate:2']])
    const failure = tasks.find(({ task }) => task === 'films')?.firstError
    assertEquals(
      [failure?.code, failure?.message],
      ['CONFIG_INVALID', "strategies.picky.rank threw: not these, for task 'films'"],
    )
    assertEquals(one.warmer.status().queuedTasks, 0)
  })

  it('gives another job’s keys up, and keeps the order of the others', async () => {
    const held = Promise.withResolvers<void>()
    const tasks = {
      films: {
        key: 'film:{id}',
        select: () => ids(1, 5),
        load: async (keys: string[]) => {
          loaded.push(...keys)
          if (keys.includes('film:5')) await held.promise
          return new Map(keys.map((key) => [key, 1]))
        },
      },
    }
    const loaded: string[] = []
    const one = stage(tasks, { reads: { 'film:5': 9, 'film:3': 5 } })
    const first = one.warmer.submit({ keys: ['film:5'] })
    await one.clock.advance(10)
    const second = one.warmer.submit({})
    await turn()
    held.resolve()
    const [, result] = await one.clock.until(Promise.all([first.result, second.result]))
    assertEquals([result.tasks[0]?.deduplicated, loaded], [1, ['film:5', 'film:3', 'film:1', 'film:2', 'film:4']])
  })

  it('refuses a strategy that is not known at once, and takes one that was made the default', async () => {
    const one = stage({ films: { key: 'film:{id}', select: () => ids(1, 2) } })
    const error = assertThrows(() => one.warmer.submit({ strategy: 'best' }), PrewarmError)
    assertEquals(
      [error.code, error.message],
      ['PARAM_INVALID', "strategy is 'best', expected one of selective, breadth, priority"],
    )
    const refused = await assertRejects(() => one.warmer.retune({ defaultStrategy: 'best' }), PrewarmError)
    assertEquals(refused.code, 'REQUEST_INVALID')
    await one.warmer.retune({ defaultStrategy: 'breadth' })
    await one.run()
    assertEquals((await one.warmer.jobs())[0]?.strategy, 'breadth')
  })

  it('costs move what is cheap up', async () => {
    const cost = (loadMs: number) => ({ loadMs, bytes: null, keys: 10 })
    const tasks = {
      dear: { key: 'dear:{id}', select: () => ids(1, 3) },
      cheap: { key: 'cheap:{id}', select: () => ids(1, 3) },
    }
    const declared = Object.fromEntries(
      Object.entries(tasks).map(([name, options]) => [
        name,
        load({ load: (keys) => new Map(keys.map((key) => [key, 1])), ...options }),
      ]),
    )
    const { warmer, clock } = benchOf(declared, {
      costs: async () =>
        new Map([
          ['dear', cost(90)],
          ['cheap', cost(10)],
        ]),
    })
    const ranking = warmer.rankingOf({}, [...warmer.config.tasks.values()])
    const [dear, cheap] = [...warmer.config.tasks.values()]
    assert(dear !== undefined && cheap !== undefined)
    const { signal } = new AbortController()
    const of = async (task: typeof dear) => (await clock.until(ranking.rank(task, ['x'], null, signal))).priorities
    assert(((await of(cheap)) as number) > ((await of(dear)) as number))
  })
})
