import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { Ranking, Strategy, StrategyContext } from '../../src/job/strategy/types.ts'
import { contextOf } from '../fakes/strategy.ts'
import { checkAsync } from '../support/property.ts'

/** Keys of several depths, none twice, in the order of `select`. */
const keys = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,2}(:[a-c]{1,2}){0,3}$/), { maxLength: 40 })
const rate = fc.oneof(fc.constant(0), fc.constantFrom(1, 2, 60), fc.double({ min: 1e-3, max: 1e6, noNaN: true }))
const importance = fc.oneof(
  fc.constantFrom(-1e6, -7, -0.5, 0, 0.5, 1, 50, 100, 1e6),
  fc.integer({ min: -1000, max: 1000 }),
)
const cost = fc.option(fc.double({ min: 1e-3, max: 1e5, noNaN: true }), { nil: null })

interface Given {
  keys: string[]
  context: StrategyContext
}

const given: fc.Arbitrary<Given> = fc
  .record({
    keys,
    rates: fc.array(rate, { maxLength: 40 }),
    importance,
    others: fc.array(importance, { maxLength: 3 }),
    count: fc.option(fc.integer({ min: 1, max: 50 }), { nil: null }),
    costMs: cost,
    meanCostMs: cost,
  })
  .map(({ keys: listed, rates, others, importance: own, ...rest }) => ({
    keys: listed,
    context: contextOf({
      reads: Object.fromEntries(listed.map((key, at) => [key, rates[at] ?? 0])),
      importance: own,
      importances: [...new Set([own, ...others])].sort((a, b) => b - a),
      ...rest,
    }),
  }))

/** What every strategy must do, also one of a user's. */
export function strategyContract(name: string, strategy: Strategy) {
  const rank = async ({ keys: listed, context }: Given): Promise<Ranking> => strategy.rank(listed, context)
  const always = (what: string, holds: (one: Given, ranking: Ranking) => void | Promise<void>) =>
    it(`${name} ${what}`, () =>
      checkAsync(
        fc.asyncProperty(given, async (one) => holds(one, await rank(one))),
        300,
      ))

  describe(`the strategy ${name}`, () => {
    always('gives keys that it was given, and none twice', ({ keys: listed }, ranking) => {
      assertEquals(new Set(ranking.keys).size, ranking.keys.length)
      const known = new Set(listed)
      assertEquals(
        ranking.keys.filter((key) => !known.has(key)),
        [],
      )
    })

    always('gives finite priorities, none higher than the one before', (_, ranking) => {
      const all = prioritiesOf(ranking)
      assertEquals(all.length, ranking.keys.length)
      for (const [at, priority] of all.entries()) {
        assert(Number.isFinite(priority), `${priority}`)
        if (at > 0) assert(priority <= (all[at - 1] as number), `${priority} after ${all[at - 1]}`)
      }
    })

    always('gives the same for the same, and leaves the list alone', async (one, ranking) => {
      const before = [...one.keys]
      const again = await rank(one)
      assertEquals([again.keys, prioritiesOf(again), one.keys], [ranking.keys, prioritiesOf(ranking), before])
    })

    always(
      'keeps keys of which the same is known in the order of select',
      ({ keys: listed, context }, { keys: all }) => {
        const groups = new Map<string, string[]>()
        for (const key of all) {
          const group = `${context.readsPerHour(key)}/${context.depth(key)}`
          groups.set(group, [...(groups.get(group) ?? []), key])
        }
        for (const group of groups.values())
          assertEquals(
            group,
            listed.filter((key) => group.includes(key)),
          )
      },
    )

    it(`${name} takes an empty list`, async () => {
      assertEquals((await rank({ keys: [], context: contextOf() })).keys, [])
      assertEquals((await rank({ keys: [], context: contextOf({ reads: { a: 1 } }) })).keys, [])
    })

    always('tells what a priority came from, in numbers', ({ keys: listed, context }) => {
      const [key = 'a:b'] = listed
      const why = strategy.explain?.({ readsPerHour: context.readsPerHour(key), depth: context.depth(key) }, context)
      for (const value of Object.values(why ?? {})) assert(value === null || Number.isFinite(value), `${value}`)
    })

    always('gives a query a finite priority', ({ context }) => {
      const priority = strategy.rankQuery?.({ readsPerHour: context.meanReadsPerHour / 2, depth: 2 }, context)
      assert(priority === undefined || Number.isFinite(priority), `${priority}`)
    })
  })
}

export function prioritiesOf({ keys: all, priorities }: Ranking): number[] {
  return typeof priorities === 'number' ? all.map(() => priorities) : Array.from(priorities)
}
