import { describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import fc from 'fast-check'
import { propose } from '../../src/optimize/propose.ts'
import { withChange } from '../../src/optimize/step.ts'
import { MAX_TTL_MS, MIN_INTERVAL_MS } from '../../src/optimize/timing.ts'
import type { Facts, Proposal, TaskFacts } from '../../src/optimize/types.ts'
import { check } from '../support/property.ts'
import { factsOf, HOUR, MINUTE } from './support.ts'

function proposed(tasks: TaskFacts | TaskFacts[], over: Partial<Facts> = {}): Proposal {
  return propose({ tasks: [tasks].flat(), observedMs: 6 * HOUR, maxOriginRps: 100, ...over })
}

const told = ({ changes }: Proposal) => changes.map(({ task, field, from, to }) => [task, field, from, to])

/** Reads as they usually are: few keys have most of them. */
function zipf(keys: number, readsPerHour: number): number[] {
  const weights = Array.from({ length: keys }, (_, rank) => 1 / (rank + 1))
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => (weight * readsPerHour) / all)
}

describe('propose: interval and ttl', () => {
  it('warms before it expires what is warmed hourly and lives five minutes', () => {
    const result = proposed(factsOf())
    assertEquals(told(result), [['films', 'interval', HOUR, 4 * MINUTE]])
    assertStringIncludes(result.changes[0]?.reason ?? '', 'lives 5 m (less 10 % jitter) but is warmed every 1 h')
    const [{ hitRate, originRequestsPerHour } = { hitRate: null, originRequestsPerHour: null }] = result.expected
    assertEquals(hitRate?.to, 1)
    assert((hitRate?.from ?? 1) < 0.86)
    assertEquals(originRequestsPerHour?.to, 60)
    assert((originRequestsPerHour?.from ?? 0) > 1500)
    assertEquals(result.tasksOptimized, 1)
  })

  it('leaves the TTL alone where an interval does', () => {
    const result = proposed(factsOf({ gapsMs: [2 * HOUR], ttlMs: 66 * MINUTE }))
    assertEquals(told(result), [['films', 'interval', 2 * HOUR, 53 * MINUTE]])
  })

  it('changes nothing where what is warmed lives until the next run', () => {
    const result = proposed(factsOf({ ttlMs: 70 * MINUTE }))
    assertEquals([result.changes, result.tasksOptimized], [[], 0])
    assertStringIncludes(result.unchanged[0]?.reason ?? '', 'renewed before it expires')
  })

  it('goes by the longest pause, the jitter of the TTL and that of the runs', () => {
    assertEquals(told(proposed(factsOf({ gapsMs: [HOUR], ttlMs: HOUR, ttlJitter: 0 }))), [])
    assertEquals(told(proposed(factsOf({ gapsMs: [HOUR], ttlMs: HOUR }))).length, 1)
    assertEquals(told(proposed(factsOf({ gapsMs: [HOUR], ttlMs: HOUR, ttlJitter: 0, jitterMs: 1000 }))).length, 1)
    assertEquals(told(proposed(factsOf({ gapsMs: [HOUR, 2 * HOUR], ttlMs: 80 * MINUTE }))).length, 1)
  })

  it('never runs more often than every minute: a shorter life is made as long as that takes', () => {
    const result = proposed(factsOf({ ttlMs: 30_000 }))
    assertEquals(told(result), [
      ['films', 'interval', HOUR, MINUTE],
      ['films', 'ttl', 30_000, 80_000],
    ])
    assertStringIncludes(result.changes[0]?.reason ?? '', 'more often than every 1 m; every 1 m is near to that')
    assertStringIncludes(result.changes[1]?.reason ?? '', 'may be that old when it is read')
    // Nor where it does so already.
    const often = proposed(factsOf({ ttlMs: 10_000, gapsMs: [30_000] }))
    assertEquals(told(often), [['films', 'ttl', 10_000, 40_000]])
  })

  it('does not spend many requests on few misses', () => {
    // One request a key, and keys that are read now and then: cache-aside serves them nearly as well.
    const result = proposed(factsOf({ requestsPerKey: 1, readsPerHour: Array.from({ length: 200 }, () => 1) }))
    assertEquals(told(result), [
      ['films', 'interval', HOUR, 32 * MINUTE],
      ['films', 'ttl', 5 * MINUTE, 40 * MINUTE],
    ])
    assertStringIncludes(
      result.changes[0]?.reason ?? '',
      'every 4 m would cost 2,800 more requests an hour to spare readers',
    )
    const [
      {
        originRequestsPerHour: { from, to },
      } = { originRequestsPerHour: { from: 0, to: 0 } },
    ] = result.expected
    assert(to < from * 1.1)
  })

  it('never proposes a TTL above a day', () => {
    const result = proposed(factsOf({ gapsMs: [24 * HOUR] }), { maxOriginRps: 0.0001 })
    assertEquals(result.changes, [])
    assertStringIncludes(result.unchanged[0]?.reason ?? '', 'above 24 h is for you to choose')
  })

  it('leaves the origin half of its requests', () => {
    const facts = factsOf({ requestsPerKey: 1 })
    assertEquals(told(proposed(facts)), [['films', 'interval', HOUR, 4 * MINUTE]])
    // 3000 requests an hour are warming's.
    const tight = proposed(facts, { maxOriginRps: (2 * 2999) / 3600 })
    assertEquals(told(tight), [
      ['films', 'interval', HOUR, 8 * MINUTE],
      ['films', 'ttl', 5 * MINUTE, 10 * MINUTE],
    ])
    assertStringIncludes(tight.changes[0]?.reason ?? '', 'would ask the origin 3,000 times an hour, and 2,999 are left')
    const none = proposed(facts, { maxOriginRps: 0.1 })
    assertEquals(told(none), [['films', 'ttl', 5 * MINUTE, 75 * MINUTE]])
    // What another task asks already is gone.
    const other = factsOf({ task: 'other', gapsMs: [4 * MINUTE], requestsPerKey: 1 })
    const shared = proposed([facts, other], { maxOriginRps: (2 * 5999) / 3600 })
    assertEquals(told(shared), told(tight))
  })

  it('knows that adding renews nothing', () => {
    const result = proposed(factsOf({ renews: false }))
    assertEquals(result.changes, [])
    assertStringIncludes(result.unchanged[0]?.reason ?? '', "mode 'add'")
  })
})

describe('propose: limit', () => {
  const hot = { gapsMs: [HOUR], ttlMs: 2 * HOUR, readsPerHour: Array.from({ length: 100 }, () => 50) }

  it('lets keys go that are not read once in their life', () => {
    const result = proposed(factsOf({ ...hot, warmed: 1000, limit: 1000, seen: { warmed: 10_000, read: 1000 } }))
    assertEquals(told(result), [['films', 'limit', 1000, 100]])
    assertStringIncludes(result.changes[0]?.reason ?? '', '90 % of what was warmed was never read')
    assertEquals(result.expected[0]?.hitRate, { from: 1, to: 1 })
    assertEquals(result.expected[0]?.originRequestsPerHour, { from: 20, to: 2 })
  })

  it('keeps the keys that bear the reads, also if each is read rarely', () => {
    const rare = Array.from({ length: 1000 }, () => 0.3)
    assertEquals(told(proposed(factsOf({ ...hot, readsPerHour: rare, warmed: 1000 }))), [])
  })

  it('takes more keys where more are worth it and there may be more', () => {
    const more = { ...hot, warmed: 20, limit: 20 }
    assertEquals(told(proposed(factsOf(more))), [['films', 'limit', 20, 100]])
    assertEquals(told(proposed(factsOf({ ...more, warmed: 15 }))), [], 'its source has no more')
    assertEquals(told(proposed(factsOf({ ...more, takesLimit: () => false }))), [])
    const tight = proposed(factsOf({ ...more, requestsPerKey: 1 }), { maxOriginRps: (2 * 60) / 3600 })
    assertEquals(told(tight), [['films', 'limit', 20, 60]])
  })

  it('gives a task what another one lets go', () => {
    const more = factsOf({ ...hot, warmed: 20, limit: 20, requestsPerKey: 1 })
    const fewer = factsOf({
      ...{ task: 'other', gapsMs: [HOUR], ttlMs: 2 * HOUR, requestsPerKey: 1, warmed: 50 },
      readsPerHour: Array.from({ length: 10 }, () => 40),
    })
    assertEquals(told(proposed([more, fewer], { maxOriginRps: (2 * 70) / 3600 })), [
      ['films', 'limit', 20, 60],
      ['films', 'priority', 0, 5],
      ['other', 'limit', null, 10],
      ['other', 'priority', 0, -5],
    ])
  })

  it('cuts nothing off where it cannot know what is hot', () => {
    const waste = { ...hot, warmed: 1000 }
    assertEquals(told(proposed(factsOf(waste))).length, 1)
    for (const [over, facts] of [
      [{ isPartial: true }, {}],
      [{ isAssumed: true }, {}],
      [{}, { observedMs: HOUR }],
      // A tenth of what it warmed would have been read, if the hottest keys were among it.
      [{ seen: { warmed: 10_000, read: 400 } }, {}],
    ] as [Partial<TaskFacts>, Partial<Facts>][])
      assertEquals(told(proposed(factsOf({ ...waste, ...over }), facts)), [], JSON.stringify([over, facts]))
    const unordered = proposed(factsOf({ ...waste, seen: { warmed: 10_000, read: 400 } }))
    assertStringIncludes(unordered.unchanged[0]?.reason ?? '', 'hottest first')
  })
})

describe('propose: too little data', () => {
  it('says so, and changes nothing', () => {
    const few = proposed(factsOf({ reads: 99 }))
    assertEquals(few.changes, [])
    assertEquals(few.unchanged, [{ task: 'films', reason: '99 reads of its keys are known: it takes 100 to judge' }])
    const none = proposed(factsOf({ reads: 0, readsPerHour: [] }))
    assertStringIncludes(none.unchanged[0]?.reason ?? '', 'no read of its keys is known')
    const short = proposed(factsOf(), { observedMs: HOUR - 1 })
    assertEquals(short.changes, [])
    assertStringIncludes(short.unchanged[0]?.reason ?? '', 'it takes 1 h to judge')
    assertEquals(proposed(factsOf({ reads: 100 }), { observedMs: HOUR }).tasksOptimized, 1)
  })
})

const anyTask = (task: string) =>
  fc
    .record({
      gapsMs: fc.array(fc.integer({ min: MINUTE, max: 24 * HOUR }), { minLength: 1, maxLength: 4 }),
      jitterMs: fc.constantFrom(0, 5000, 10 * MINUTE),
      ttlMs: fc.integer({ min: 1000, max: 48 * HOUR }),
      fillTtlMs: fc.integer({ min: 1000, max: 48 * HOUR }),
      ttlJitter: fc.constantFrom(0, 0.1, 0.5, 1),
      renews: fc.boolean(),
      limit: fc.option(fc.integer({ min: 1, max: 5000 })),
      available: fc.integer({ min: 0, max: 5000 }),
      readsPerHour: fc
        .tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 100_000 }))
        .map(([keys, reads]) => zipf(keys, reads)),
      requestsPerKey: fc.constantFrom(1, 0.02, 0.001),
      declaredPriority: fc.integer({ min: -200, max: 200 }),
      critical: fc.boolean(),
      isAssumed: fc.boolean(),
      isPartial: fc.boolean(),
      seen: fc.option(fc.record({ warmed: fc.integer({ min: 0, max: 5000 }), read: fc.constantFrom(0, 50) })),
    })
    .map(({ available, ...over }) =>
      factsOf({
        task,
        ...over,
        priority: over.declaredPriority,
        warmed: Math.min(available, over.limit ?? available),
        takesLimit: (limit) => limit <= 3000,
      }),
    )

const anyFacts = fc.record({
  tasks: fc.tuple(anyTask('a'), anyTask('b'), anyTask('c')),
  observedMs: fc.integer({ min: HOUR, max: 6 * HOUR }),
  maxOriginRps: fc.constantFrom(0.5, 5, 100),
})

function afterwards(facts: Facts, { changes }: Proposal): Facts {
  const tasks = facts.tasks.map((task) =>
    changes.filter((change) => change.task === task.task).reduce((one, change) => withChange(one, change), task),
  )
  return { ...facts, tasks }
}

describe('propose, whatever is known', () => {
  it('changes nothing more once it is in force', () => {
    check(
      fc.property(anyFacts, (facts) => {
        const first = propose(facts)
        assertEquals(propose(afterwards(facts, first)).changes, [])
      }),
      400,
    )
  })

  it('comes to rest where reads vary by a fifth either way', () => {
    for (const [keys, reads] of [
      [1500, 11_000],
      [840, 25_000],
      [2000, 3500],
    ] as const) {
      let facts = factsOf({ readsPerHour: zipf(keys, reads), ttlMs: HOUR, gapsMs: [30 * MINUTE] })
      const limits: number[] = []
      for (let round = 0; round < 8; round++) {
        const readsPerHour = zipf(keys, reads * (round % 2 === 0 ? 1.2 : 0.8))
        facts = { ...facts, readsPerHour }
        for (const change of proposed(facts).changes) {
          limits.push(change.to)
          facts = withChange(facts, change)
        }
      }
      assert(limits.length <= 1, `${keys} keys: ${limits}`)
    }
  })

  it('stays within its bounds, and gives reasons', () => {
    check(
      fc.property(anyFacts, (facts) => {
        const { changes, expected, unchanged, tasksOptimized } = propose(facts)
        for (const { task, field, from, to, reason } of changes) {
          const one = facts.tasks.find((other) => other.task === task) as TaskFacts
          assert(from !== to && reason.length > 20)
          if (field === 'interval') assert(to >= MIN_INTERVAL_MS && one.renews)
          if (field === 'ttl') assert(to <= MAX_TTL_MS && to > one.ttlMs)
          if (field === 'limit') assert(Number.isInteger(to) && to >= 1 && to <= 5000)
          if (field === 'priority') {
            assert(Math.abs(to - one.declaredPriority) <= 20)
            if (!one.critical) assertEquals(to >= 100, one.declaredPriority >= 100)
          }
        }
        const names = new Set([...expected, ...unchanged].map(({ task }) => task))
        assertEquals([...names].sort(), ['a', 'b', 'c'])
        assertEquals([expected.length, expected.length + unchanged.length], [tasksOptimized, 3])
      }),
      400,
    )
  })

  it('never has warming ask for more than half of what the origin may get, unless it does already', () => {
    const warming = ({ tasks }: Facts) =>
      tasks.reduce((sum, { gapsMs, warmed, requestsPerKey }) => {
        const meanMs = gapsMs.reduce((all, gap) => all + gap, 0) / gapsMs.length
        return sum + (warmed * requestsPerKey * HOUR) / meanMs
      }, 0)
    check(
      fc.property(anyFacts, (facts) => {
        const after = warming(afterwards(facts, propose(facts)))
        assert(after <= Math.max(warming(facts), 0.5 * facts.maxOriginRps * 3600) * (1 + 1e-9))
      }),
      400,
    )
  })
})
