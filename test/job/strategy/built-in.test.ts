import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { breadth } from '../../../src/job/strategy/breadth.ts'
import { priority } from '../../../src/job/strategy/priority.ts'
import { selective } from '../../../src/job/strategy/selective.ts'
import type { Ranking, Strategy } from '../../../src/job/strategy/types.ts'
import { prioritiesOf } from '../../contract/strategy.contract.ts'
import { type ContextOptions, contextOf } from '../../fakes/strategy.ts'
import { keys as numbered } from '../../fakes/tasks.ts'
import { check } from '../../support/property.ts'

const rank = (strategy: Strategy, keys: readonly string[], options: ContextOptions = {}) =>
  strategy.rank(keys, contextOf(options)) as Ranking
const importance = fc.integer({ min: -1000, max: 1000 })

describe('selective', () => {
  it('takes the keys that are read most, and its priority falls linearly with the rank', () => {
    const reads = { 'k:3': 50, 'k:5': 200, 'k:1': 50 }
    const ranking = rank(selective, numbered(6), { reads, importance: 100, count: 4 })
    assertEquals(ranking.keys, ['k:5', 'k:1', 'k:3', 'k:2'])
    assertEquals(prioritiesOf(ranking), [100, 75, 50, 25])
  })

  it('takes all without a count, and the first ones where no read is known', () => {
    assertEquals(rank(selective, numbered(5)).keys, numbered(5))
    assertEquals(rank(selective, numbered(5), { count: 2 }).keys, ['k:1', 'k:2'])
  })

  it('falls by 1 in all from a base of 0 or below', () => {
    assertEquals(prioritiesOf(rank(selective, numbered(4), { importance: 0 })), [0, -0.25, -0.5, -0.75])
    assertEquals(prioritiesOf(rank(selective, numbered(2), { importance: -3 })), [-3, -3.5])
  })

  it('gives the more important of two tasks the higher priority at each rank', () => {
    const property = fc.property(importance, importance, fc.integer({ min: 1, max: 30 }), (a, b, size) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)].map((base) =>
        prioritiesOf(rank(selective, numbered(size), { importance: base })),
      ) as [number[], number[]]
      for (const [at, one] of low.entries()) assert(one <= (high[at] as number), `${one} and ${high[at]}`)
    })
    check(property)
  })
})

describe('breadth', () => {
  it('puts keys with fewer colons first, parents before children, the hotter first within a level', () => {
    const keys = ['a:1:x', 'a:1', 'b:2:y:z', 'a:2', 'root', 'b:2:y']
    const ranking = rank(breadth, keys, { reads: { 'a:2': 9, 'b:2:y': 1 }, importance: 10 })
    assertEquals(ranking.keys, ['root', 'a:2', 'a:1', 'b:2:y', 'a:1:x', 'b:2:y:z'])
    assertEquals(prioritiesOf(ranking).map(Math.ceil), [10, 9, 9, 8, 8, 7])
  })

  it('is the top priority of the job less the depth where nothing else tells keys apart', () => {
    const ranking = rank(breadth, ['a', 'a:b', 'a:b:c'], { importance: 50 })
    assertEquals(prioritiesOf(ranking), [50, 49, 48])
    assertEquals(rank(breadth, ['a:b', 'a:c'], { importance: 50 }).priorities, 49)
  })

  it('goes by the declared depth', () => {
    const ranking = rank(breadth, ['a', 'b'], { importance: 1, depth: () => 4 })
    assertEquals(prioritiesOf(ranking), [-3, -3])
  })

  it('keeps levels apart whatever importance and heat say, and the more important task first within one', () => {
    const rate = fc.option(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), { nil: 0 })
    const property = fc.property(
      fc.uniqueArray(importance, { minLength: 1, maxLength: 5 }),
      fc.nat(6),
      rate,
      rate,
      fc.integer({ min: 1, max: 5 }),
      (all, depth, deepRate, rateHere, below) => {
        const importances = all.sort((a, b) => b - a)
        const at = (own: number, colons: number, reads: number) => {
          const context = contextOf({ reads: { x: 5, y: 1 }, importance: own, importances })
          return breadth.rankQuery?.({ readsPerHour: reads, depth: colons }, context) as number
        }
        const [first, last] = [importances[0] as number, importances.at(-1) as number]
        assert(at(last, depth, rateHere) > at(first, depth + below, deepRate))
        if (importances.length > 1) assert(at(first, depth, rateHere) > at(last, depth, deepRate))
      },
    )
    check(property)
  })
})

describe('priority', () => {
  it('is importance times hotness by cost, and tells each of them', () => {
    const context = contextOf({
      reads: { 'k:1': 30, 'k:2': 10 },
      importance: 50,
      costMs: 8,
      meanCostMs: 2,
    })
    const why = priority.explain?.({ readsPerHour: 30, depth: 1 }, context)
    assertEquals(why, { score: 18.75, importance: 50, hotness: 1.5, readsPerHour: 30, cost: 4, costMs: 8 })
    const ranking = priority.rank(['k:2', 'k:1', 'k:3'], context) as Ranking
    assertEquals(ranking.keys, ['k:1', 'k:2', 'k:3'])
    // The unread one has half of what the least read one has.
    assertEquals(prioritiesOf(ranking), [18.75, 6.25, 3.125])
  })

  it('leaves everything as it was where neither reads nor costs are known', () => {
    const property = fc.property(importance, fc.nat(30), (own, size) => {
      const ranking = rank(priority, numbered(size), { importance: own })
      assertEquals([ranking.keys, ranking.priorities], [numbered(size), own])
    })
    check(property)
    const given = numbered(3)
    assert(rank(priority, given).keys === given, 'no copy is made')
  })

  it('gives a key of usual hotness and cost the priority of its task', () => {
    const property = fc.property(importance, (own) => {
      const context = contextOf({ reads: { a: 4, b: 4 }, importance: own })
      const { priorities } = priority.rank(['a'], context) as Ranking
      assertAlmostEquals((priorities as number[])[0] as number, own, 1e-6)
    })
    check(property)
  })

  it('grows with importance and with heat, and falls with cost, from the lowest priority to the highest', () => {
    const rate = fc.double({ min: 1, max: 1e5, noNaN: true })
    const property = fc.property(importance, fc.integer({ min: 1, max: 50 }), rate, rate, (own, more, reads, other) => {
      const at = (given: number, readsPerHour: number, costMs: number) => {
        const context = contextOf({ reads: { a: 1, b: 100 }, importance: given, costMs, meanCostMs: 10 })
        return priority.rankQuery?.({ readsPerHour, depth: 1 }, context) as number
      }
      assert(at(own + more, reads, 10) > at(own, reads, 10))
      assert(at(own, Math.max(reads, other), 10) >= at(own, Math.min(reads, other), 10))
      assert(at(own, reads, 40) < at(own, reads, 10))
    })
    check(property)
  })

  it('lets tasks that cost about the same take turns', () => {
    const of = (costMs: number) => rank(priority, ['a'], { importance: 10, costMs, meanCostMs: 10 }).priorities
    assertEquals([of(9), of(10), of(11.5)], [10, 10, 10])
    assert((of(30) as number) < 5 && (of(2) as number) > 40)
  })

  it('ranks 300,000 keys with one array of numbers', () => {
    const all = numbered(300_000)
    const reads = Object.fromEntries(all.filter((_, at) => at % 10 === 0).map((key, at) => [key, at + 1]))
    const { keys, priorities } = rank(priority, all, { reads: reads, leastReadsPerHour: 1 })
    assert(priorities instanceof Float64Array)
    assertEquals([keys.length, keys[0], keys[30_000]], [300_000, 'k:299991', 'k:2'])
  })
})
