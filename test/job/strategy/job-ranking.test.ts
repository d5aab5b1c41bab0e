import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import type { ConfigDefinition, TaskDefinition } from '../../../src/config/define.ts'
import { load, sql } from '../../../src/config/define.ts'
import type { Task } from '../../../src/config/task.ts'
import { PrewarmError } from '../../../src/errors.ts'
import { costMsOf, type RankingSources } from '../../../src/job/strategy/job-ranking.ts'
import { rankingOf } from '../../../src/job/strategy/ranking-of.ts'
import { NO_COSTS, type Strategy } from '../../../src/job/strategy/types.ts'
import { type Demand, NO_DEMAND } from '../../../src/predict/demand.ts'
import type { JobRequest } from '../../../src/types.ts'
import { prioritiesOf } from '../../contract/strategy.contract.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { demandOf } from '../../fakes/strategy.ts'
import { configOf } from '../../fakes/tasks.ts'

const values = (keys: readonly string[]) => new Map(keys.map((key) => [key, { key }]))
const task = (key: string, rest: Partial<TaskDefinition> = {}) => load({ key, load: values, ...rest } as never)
const TASKS = {
  films: task('film:{id}', { priority: 10 }),
  actors: task('film:{id}:actors:{actor}', { priority: 100 }),
  prices: task('price:{id}', { parent: 'actors' }),
  rows: sql({ key: 'row:{id}', value: 'hash', query: 'select 1 as id' }),
}
const { signal } = new AbortController()

interface Given extends Partial<RankingSources> {
  reads?: Record<string, number>
  definition?: Partial<ConfigDefinition>
}

function rankingFor(request: JobRequest = {}, { reads, definition, ...sources }: Given = {}) {
  const config = configOf(TASKS, definition)
  const clock = new FakeClock()
  const demand = async (): Promise<Demand> => (reads === undefined ? NO_DEMAND : demandOf(reads))
  const all = [...config.tasks.values()]
  const ranking = rankingOf(config, request, all, { demand, costs: async () => NO_COSTS, clock, ...sources })
  const named = (name: string) => config.tasks.get(name) as Task
  return { ranking, clock, named, all }
}

/** A configuration with one strategy of the user's. */
const mine = (rank: unknown): Given => ({ definition: { strategies: { mine: { rank } as Strategy } } })

async function refusal(rank: unknown, given: Given = {}): Promise<string> {
  const { ranking, named } = rankingFor({ strategy: 'mine' }, { ...mine(rank), ...given })
  const ranked = ranking.rank(named('films'), ['film:1', 'film:2'], null, signal)
  const error = await assertRejects(() => ranked, PrewarmError)
  assertEquals(error.code, 'CONFIG_INVALID')
  assert(error.message.startsWith('strategies.mine.rank ') && error.message.includes("'films'"), error.message)
  return error.message
}

describe('JobRanking', () => {
  it('refuses a strategy that is not known, naming those that are', () => {
    const error = assertThrows(
      () =>
        rankingFor(
          { strategy: 'best' },
          mine(() => {}),
        ),
      PrewarmError,
    )
    assertEquals(
      [error.code, error.message],
      ['PARAM_INVALID', "strategy is 'best', expected one of selective, breadth, priority, mine"],
    )
    for (const strategy of ['toString', '__proto__', 'constructor'])
      assertThrows(() => rankingFor({ strategy }), PrewarmError)
    assertThrows(() => rankingFor({ order: 'random' as never }), PrewarmError, "order is 'random'")
  })

  it('takes the default strategy unless the request names one', () => {
    const definition = { defaultStrategy: 'breadth' }
    assertEquals(rankingFor().ranking.name, 'priority')
    assertEquals(rankingFor({}, { definition }).ranking.name, 'breadth')
    assertEquals(rankingFor({ strategy: 'selective' }, { definition }).ranking.name, 'selective')
  })

  it('ranks what a task lists by what is read, and asks for that once', async () => {
    let asked = 0
    const demand = async () => {
      asked++
      return demandOf({ 'film:2': 10 })
    }
    const { ranking, named } = rankingFor({}, { demand })
    const ranked = await ranking.rank(named('films'), ['film:1', 'film:2'], null, signal)
    assertEquals(ranked.keys, ['film:2', 'film:1'])
    await ranking.rank(named('actors'), ['film:1:actors:1'], 5, signal)
    assertEquals([asked, await ranking.readsKnown()], [1, true])
  })

  it('keeps the order of keys that are named, unless a strategy is, too, and asks for nothing then', async () => {
    const keys = ['film:1', 'film:2']
    const reads = { 'film:2': 10 }
    const ranked = async (request: JobRequest, given: Given = { reads }) => {
      const { ranking, named } = rankingFor(request, given)
      return (await ranking.rank(named('films'), keys, null, signal)).keys
    }
    assertEquals(await ranked({ keys }), keys)
    assertEquals(await ranked({ keys, strategy: 'priority' }), ['film:2', 'film:1'])
    assertEquals(await ranked({ keys, order: 'ranked' }), ['film:2', 'film:1'])
    assertEquals(await ranked({ keys, strategy: 'priority', order: 'given' }), keys)
    assertEquals(await ranked({ order: 'given' }), keys)
    const demand = async (): Promise<Demand> => {
      throw new Error('it was asked')
    }
    assertEquals(await ranked({ keys }, { demand }), keys)
  })

  it('does not wait for reads that do not come, nor for costs that fail', async () => {
    const given = { demand: () => new Promise<Demand>(() => {}), costs: () => Promise.reject(new Error('away')) }
    const { ranking, named, clock } = rankingFor({}, given)
    const ranked = ranking.rank(named('films'), ['film:1'], null, signal)
    await clock.advance(1000)
    assertEquals(await ranked, { keys: ['film:1'], priorities: 10 })
  })

  it('goes by the declared parent rather than by the colons', async () => {
    const { ranking, named } = rankingFor({ strategy: 'breadth' })
    const depthOf = async (name: string, key: string) => (await ranking.context(named(name), null)).depth(key)
    assertEquals(await depthOf('films', 'film:1'), 1)
    assertEquals(await depthOf('actors', 'film:1:actors:2'), 3)
    assertEquals(await depthOf('prices', 'price:1'), 4)
  })

  it('plans the tasks of breadth level by level, those of the others all at once', () => {
    const { all } = rankingFor()
    const lanes = all.map((one) => ({ task: one }))
    const steps = (request: JobRequest) =>
      rankingFor(request)
        .ranking.steps(lanes)
        .map((step) => step.map((lane) => lane.task.name))
    assertEquals(steps({ strategy: 'breadth' }), [['films', 'rows'], ['actors'], ['prices']])
    assertEquals(steps({}), [['films', 'actors', 'prices', 'rows']])
    assertEquals(steps({ strategy: 'breadth', order: 'given' }), [['films', 'actors', 'prices', 'rows']])
  })

  it('lists more than are wanted only where it can tell which are the best', async () => {
    const listed = (request: JobRequest, given?: Given) => rankingFor(request, given).ranking.listed()
    const reads = { 'film:1': 1 }
    assertEquals(await listed({}, { reads }), undefined)
    assertEquals(await listed({ count: 5 }), undefined)
    assertEquals(await listed({ count: 5 }, { reads }), 100_000)
    assertEquals(await listed({ count: 50_000 }, { reads }), 500_000)
    assertEquals(await listed({ count: 5, order: 'given' }, { reads }), undefined)
    assertEquals(
      await listed(
        { count: 5, strategy: 'mine' },
        mine(() => {}),
      ),
      100_000,
    )
  })

  it('tells a query’s reads of one of its rows', async () => {
    const reads = { 'row:1': 30, 'row:2': 10, 'film:1': 20 }
    const { ranking, named } = rankingFor({}, { reads })
    const rows = named('rows')
    assertEquals((await ranking.queryFacts(rows, 4)).readsPerHour, 10)
    assertEquals((await ranking.queryFacts(rows, null)).readsPerHour, 20)
    // 1/2 times 1/2 for a task of priority 0, as a priority again.
    assertEquals(await ranking.rankQuery(rows, 4), -2)
    assertEquals(await rankingFor().ranking.rankQuery(rows, 4), 0)
    const own = rankingFor({ strategy: 'mine' }, { reads, ...mine(() => {}) })
    assertEquals(await own.ranking.rankQuery(own.named('rows'), 4), 0)
  })

  it('counts the time to load a key and to send it', async () => {
    assertEquals(costMsOf({ loadMs: 3, bytes: 200_000, keys: 9 }), 5)
    assertEquals(costMsOf({ loadMs: 3, bytes: null, keys: 9 }), 3)
    assertEquals(costMsOf({ loadMs: Number.NaN, bytes: 1, keys: 1 }), null)
    const costs = async () =>
      new Map([
        ['films', { loadMs: 6, bytes: null, keys: 1 }],
        ['actors', { loadMs: 2, bytes: null, keys: 1 }],
      ])
    const { ranking, named } = rankingFor({}, { costs })
    const why = await ranking.explain(named('films'), { readsPerHour: 0, depth: 1 })
    assertEquals(why, { score: 10 / 1.5, importance: 10, hotness: 1, readsPerHour: null, cost: 1.5, costMs: 6 })
    assertEquals((await ranking.explain(named('prices'), { readsPerHour: 0, depth: 1 })).cost, 1)
  })

  it('fails a strategy of the user’s that does not do what it must, and names it', async () => {
    const two = ['film:1', 'film:2']
    const bad: [expected: RegExp, rank: unknown][] = [
      [
        /threw: my mistake/,
        () => {
          throw new Error('my mistake')
        },
      ],
      [
        /threw: later/,
        async () => {
          throw new Error('later')
        },
      ],
      [/no list of keys/, () => undefined],
      [/no list of keys/, () => ({ keys: 'film:1', priorities: 1 })],
      [/'film:9', which it was not given/, () => ({ keys: ['film:9'], priorities: 1 })],
      [/'film:1' twice/, () => ({ keys: ['film:1', 'film:1'], priorities: 1 })],
      [/priority NaN/, () => ({ keys: two, priorities: Number.NaN })],
      [/'film:2' the priority NaN/, () => ({ keys: two, priorities: [1, Number.NaN] })],
      [/'film:1' the priority Infinity/, () => ({ keys: two, priorities: [Number.POSITIVE_INFINITY, 1] })],
      [/the priority high/, () => ({ keys: ['film:1'], priorities: ['high'] })],
      [/'film:2' the priority 2 after 1/, () => ({ keys: two, priorities: [1, 2] })],
      [/2 keys and not as many priorities/, () => ({ keys: two, priorities: [1] })],
      [/2 keys and not as many priorities/, () => ({ keys: two })],
      // What it does to its list is not held against the list that it was given.
      [
        /'film:9', which it was not given/,
        (keys: string[]) => {
          keys.push('film:9')
          return { keys, priorities: 1 }
        },
      ],
    ]
    for (const [expected, rank] of bad) {
      const message = await refusal(rank)
      assert(expected.test(message), `${message}, expected ${expected}`)
    }
  })

  it('fails a strategy that takes longer than the task’s reads may', async () => {
    const clock = new FakeClock()
    const slow = (keys: string[]) => {
      clock.tick(5001)
      return { keys, priorities: 1 }
    }
    assert((await refusal(slow, { clock })).includes('took longer than 5000 ms'))
    const { ranking, named } = rankingFor(
      { strategy: 'mine' },
      mine(() => new Promise(() => {})),
    )
    const quick = { ...named('films'), timeoutMs: 5 }
    await assertRejects(() => ranking.rank(quick, ['film:1'], null, signal), PrewarmError, 'took longer than 5 ms')
    const aborted = new AbortController()
    aborted.abort()
    const error = await assertRejects(() => ranking.rank(quick, ['film:1'], null, aborted.signal), PrewarmError)
    assertEquals(error.code, 'JOB_CANCELLED')
  })

  it('takes what a strategy leaves out as left out, and no more than are wanted', async () => {
    const rank = (keys: string[]) => ({ keys: keys.filter((key) => key !== 'film:2').reverse(), priorities: [3, 2, 1] })
    const { ranking, named } = rankingFor({ strategy: 'mine' }, mine(rank))
    const ranked = await ranking.rank(named('films'), ['film:1', 'film:2', 'film:3', 'film:4'], 2, signal)
    assertEquals(
      [ranked.keys, prioritiesOf(ranked).slice(0, 2)],
      [
        ['film:4', 'film:3'],
        [3, 2],
      ],
    )
  })
})
