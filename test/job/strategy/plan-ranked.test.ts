import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { Failure } from '../../../src/errors.ts'
import type { TaskPlan } from '../../../src/job/plan.ts'
import { rankPlan, withOnly } from '../../../src/job/strategy/plan-ranked.ts'
import { rankingOf } from '../../../src/job/strategy/ranking-of.ts'
import { NO_COSTS } from '../../../src/job/strategy/types.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { demandOf } from '../../fakes/strategy.ts'
import { configOf, keys, loadTask } from '../../fakes/tasks.ts'
import { check } from '../../support/property.ts'

const { signal } = new AbortController()
const failure: Failure = { code: 'KEY_INVALID', message: 'no key' }
const task = loadTask()

function ranked(
  plan: TaskPlan,
  { count = null, reads = {} }: { count?: number | null; reads?: Record<string, number> },
) {
  const sources = { demand: async () => demandOf(reads), costs: async () => NO_COSTS, clock: new FakeClock() }
  const request = count === null ? {} : { count }
  const ranking = rankingOf(configOf({}), request, [task], sources)
  return rankPlan(task, plan, { ranking, count, signal })
}

describe('rankPlan', () => {
  it('keeps bad keys among those that are wanted, and a set that still holds', async () => {
    const all = keys(5)
    const plan: TaskPlan = { kind: 'keys', keys: all, failures: [failure], distinct: new Set(all) }
    const whole = await ranked(plan, { reads: { 'k:4': 1 } })
    if (whole.plan.kind !== 'keys') throw new Error(whole.plan.kind)
    assertEquals([whole.plan.keys[0], whole.plan.distinct === plan.distinct, whole.notChosen], ['k:4', true, 0])
    const few = await ranked(plan, { count: 3, reads: { 'k:4': 1 } })
    if (few.plan.kind !== 'keys') throw new Error(few.plan.kind)
    assertEquals(
      [few.plan.keys, few.plan.failures, few.plan.distinct, few.notChosen],
      [['k:4', 'k:1'], [failure], undefined, 0],
    )
  })

  it('gives a query one priority, and leaves its order alone', async () => {
    const range = { range: { from: null, to: null, limit: null }, rows: 4 }
    const plan: TaskPlan = { kind: 'ranges', ranges: [range], total: 4 }
    assertEquals((await ranked(plan, {})).plan, { ...plan, priority: 0 })
    const stream: TaskPlan = { kind: 'stream', limit: null, guess: null }
    const hot = (await ranked(stream, { reads: { 'k:1': 8, 'other:1': 2 } })).plan
    // Importance 1/2 times 8 by the mean of 5, as a priority again.
    assertEquals(hot, { ...stream, priority: 2 - 1 / 0.8 })
  })
})

describe('withOnly', () => {
  it('keeps the order, and each key’s own priority', () => {
    const property = fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (kept) => {
      const all = keys(kept.length)
      const priorities = Float64Array.from(all, (_, at) => 100 - at)
      const some = new Set(all.filter((_, at) => kept[at]))
      const plan = withOnly({ kind: 'keys', keys: all, failures: [failure], priorities }, some)
      assertEquals(plan.keys, [...some])
      assertEquals(
        Array.from(plan.priorities as Float64Array),
        plan.keys.map((key) => 101 - Number(key.slice(2))),
      )
    })
    check(property)
    assertEquals(withOnly({ kind: 'keys', keys: keys(3), failures: [], priorities: 7 }, new Set(['k:2'])), {
      kind: 'keys',
      keys: ['k:2'],
      failures: [],
      priorities: 7,
    })
  })
})
