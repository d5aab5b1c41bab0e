import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { load } from '../../../src/config/define.ts'
import type { Task } from '../../../src/config/task.ts'
import { PrewarmError } from '../../../src/errors.ts'
import type { JobRanking } from '../../../src/job/strategy/job-ranking.ts'
import { rankingOf } from '../../../src/job/strategy/ranking-of.ts'
import { NO_COSTS, type Strategy } from '../../../src/job/strategy/types.ts'
import { NO_DEMAND } from '../../../src/predict/demand.ts'
import { prioritiesOf } from '../../contract/strategy.contract.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { configOf } from '../../fakes/tasks.ts'

const films = load({ key: 'film:{id}', load: (keys) => new Map(keys.map((key) => [key, { key }])) })
const { signal } = new AbortController()

/** How a job of one task is ranked by a strategy of the user's. */
function rankingBy(mine: Strategy): { ranking: JobRanking; task: Task } {
  const config = configOf({ films }, { strategies: { mine } })
  const sources = { demand: async () => NO_DEMAND, costs: async () => NO_COSTS, clock: new FakeClock() }
  const ranking = rankingOf(config, { strategy: 'mine' }, [...config.tasks.values()], sources)
  return { ranking, task: config.tasks.get('films') as Task }
}

const fail = () => {
  throw new Error('my mistake')
}

describe('JobRanking by a strategy of the user’s', () => {
  it('keeps what it gave as it was, whatever that does to its lists later', async () => {
    const list = ['film:1', 'film:2']
    const scores = new Float64Array([2, 1])
    const { ranking, task } = rankingBy({ rank: () => ({ keys: list, priorities: scores }) })
    const ranked = await ranking.rank(task, ['film:1', 'film:2'], null, signal)
    list.push('film:9')
    scores.fill(Number.NaN)
    assertEquals(
      [ranked.keys, prioritiesOf(ranked)],
      [
        ['film:1', 'film:2'],
        [2, 1],
      ],
    )
  })

  it('lets it change nothing of what it is told', async () => {
    const rank: Strategy['rank'] = (keys, { importances }) => {
      ;(importances as number[]).push(7)
      return { keys, priorities: 0 }
    }
    const { ranking, task } = rankingBy({ rank })
    const error = await assertRejects(() => ranking.rank(task, ['film:1'], null, signal), PrewarmError)
    assertEquals(error.code, 'CONFIG_INVALID')
    assertEquals((await ranking.context(task, null)).importances, [0])
  })

  it('names rankQuery, explain or level where they do not do what they must', async () => {
    const facts = { readsPerHour: 0, depth: 1 }
    const rankQuery = (ranking: JobRanking, task: Task) => ranking.rankQuery(task, 4)
    const explain = (ranking: JobRanking, task: Task) => ranking.explain(task, facts)
    const steps = async (ranking: JobRanking, task: Task) => ranking.steps([{ task }])
    const bad: [expected: string, own: Partial<Strategy>, ask: typeof rankQuery | typeof explain | typeof steps][] = [
      ['rankQuery threw: my mistake', { rankQuery: fail }, rankQuery],
      ['rankQuery gave NaN, expected a finite number', { rankQuery: () => Number.NaN }, rankQuery],
      ['explain threw: my mistake', { explain: fail }, explain],
      ['level threw: my mistake', { level: fail }, steps],
      ['level gave NaN, expected a finite number', { level: () => Number.NaN }, steps],
    ]
    for (const [expected, own, ask] of bad) {
      const { ranking, task } = rankingBy({ rank: fail, ...own })
      const error = await assertRejects(async () => void (await ask(ranking, task)), PrewarmError)
      assertEquals([error.code, error.message], ['CONFIG_INVALID', `strategies.mine.${expected}, for task 'films'`])
    }
  })

  it('calls its methods as methods', async () => {
    class Own implements Strategy {
      readonly #base = 3
      rank = fail
      level() {
        return this.#base
      }
      rankQuery() {
        return this.#base
      }
    }
    const { ranking, task } = rankingBy(new Own())
    assertEquals([ranking.steps([{ task }]).length, await ranking.rankQuery(task, 4)], [1, 3])
  })
})
