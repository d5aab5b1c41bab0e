import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { forecast, missesInGap, missesPerHourUnwarmed, usedShare } from '../../src/optimize/model.ts'
import type { TaskFacts } from '../../src/optimize/types.ts'
import { check } from '../support/property.ts'
import { factsOf, HOUR, MINUTE, randomOf } from './support.ts'

/** Share of reads that hit, of `keys` keys over many hours: each is read by chance, filled by a miss, and warmed by the runs. */
function simulated(facts: TaskFacts, hours: number, seed: number): { hitRate: number; missesPerHour: number } {
  const random = randomOf(seed)
  const { gapsMs, ttlMs, fillTtlMs, ttlJitter, warmed, readsPerHour } = facts
  let reads = 0
  let hits = 0
  for (const [rank, rate] of readsPerHour.entries()) {
    // Evenly spread, as of many keys.
    const lifeMs = ttlMs * (1 - ttlJitter * ((rank * 0.618034) % 1))
    // The first run comes at a random moment of the first gap.
    let run = 0
    let nextRunMs = rank < warmed ? random() * (gapsMs[0] as number) : Number.POSITIVE_INFINITY
    let expiresMs = 0
    for (let nowMs = 0; ; ) {
      nowMs += (-Math.log(1 - random()) * HOUR) / rate
      if (nowMs > hours * HOUR) break
      while (nextRunMs <= nowMs) {
        expiresMs = nextRunMs + lifeMs
        nextRunMs += gapsMs[++run % gapsMs.length] as number
      }
      reads++
      if (nowMs < expiresMs) hits++
      else expiresMs = nowMs + fillTtlMs
    }
  }
  return { hitRate: hits / reads, missesPerHour: (reads - hits) / hours }
}

describe('forecast', () => {
  it('says what a simulation finds, to within three points', () => {
    const facts = fc.record({
      gapMinutes: fc.array(fc.integer({ min: 2, max: 180 }), { minLength: 1, maxLength: 3 }),
      ttlMinutes: fc.integer({ min: 1, max: 240 }),
      fillMinutes: fc.integer({ min: 1, max: 240 }),
      ttlJitter: fc.constantFrom(0, 0.1, 0.5),
      rate: fc.constantFrom(2, 10, 60, 120),
      share: fc.constantFrom(0, 0.5, 1),
      seed: fc.integer(),
    })
    check(
      fc.property(facts, ({ gapMinutes, ttlMinutes, fillMinutes, ttlJitter, rate, share, seed }) => {
        // As many reads in all, whatever the rate; and many cycles.
        const cycleHours = gapMinutes.reduce((sum, gap) => sum + gap, 0) / 60
        const hours = Math.max(150, 40 * cycleHours, 40_000 / (rate * 20))
        const one = factsOf({
          gapsMs: gapMinutes.map((minutes) => minutes * MINUTE),
          ttlMs: ttlMinutes * MINUTE,
          fillTtlMs: fillMinutes * MINUTE,
          ttlJitter,
          readsPerHour: Array.from({ length: 20 }, () => rate),
          warmed: 20 * share,
        })
        const { hitRate } = forecast(one, one)
        assertAlmostEquals(hitRate, simulated(one, hours, seed).hitRate, 0.03, JSON.stringify(one))
      }),
      60,
    )
  })

  it('is 1 where every key is renewed in time, and that of plain cache-aside where none is warmed', () => {
    const inTime = factsOf({ gapsMs: [4 * MINUTE] })
    assertEquals(forecast(inTime, inTime).hitRate, 1)
    const never = { ...inTime, warmed: 0 }
    // rT / (1 + rT) with five reads in a life.
    assertAlmostEquals(forecast(never, never).hitRate, 5 / 6, 1e-9)
  })

  it('adds what warming asks of the origin and what misses do, in requests and in time', () => {
    const facts = factsOf({ gapsMs: [4 * MINUTE], loadMsPerKey: 2 })
    assertEquals(forecast(facts, facts).originRequestsPerHour, (15 * 200) / 50)
    assertEquals(forecast(facts, facts).originMsPerHour, 15 * 200 * 2)
    const never = forecast({ ...facts, warmed: 0 }, { ...facts, warmed: 0 })
    assertAlmostEquals(never.originRequestsPerHour, 200 * missesPerHourUnwarmed(60, 5 * MINUTE), 1e-6)
  })

  it('weighs pauses that differ by their number', () => {
    const twice = factsOf({ gapsMs: [HOUR, HOUR, 3 * HOUR], ttlMs: HOUR, ttlJitter: 0, fillTtlMs: MINUTE })
    // Two hours of five are gone.
    const { missesPerHour } = forecast(twice, twice)
    assertAlmostEquals(missesPerHour, (200 * missesInGap(60 / HOUR, 2 * HOUR, MINUTE)) / 5, 1e-6)
  })

  it('takes a gap of many lives as of the long run, without a step', () => {
    const [below, above] = [39.9, 40.1].map((lives) => missesInGap(60 / HOUR, lives * MINUTE, MINUTE))
    assertAlmostEquals(below as number, above as number, 0.15)
    assert(missesInGap(60 / HOUR, 24 * HOUR, 1000) > 1300)
    assertEquals([missesInGap(0, HOUR, MINUTE), missesInGap(1, 0, MINUTE)], [0, 0])
  })

  it('knows which share of what is warmed is read', () => {
    const facts = factsOf({ gapsMs: [HOUR], ttlMs: HOUR, readsPerHour: [1000, 1000], warmed: 4 })
    assertAlmostEquals(usedShare(facts, facts), 0.5, 1e-6)
  })
})
