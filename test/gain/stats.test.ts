import { describe, it } from 'node:test'
import { assert, assertEquals, assertExists } from '@std/assert'
import { verdictOf, warmingStats } from '../../src/gain/stats.ts'

function statsOf(reads: { hits?: number; misses?: number; errors?: number }, pending: number | null = 0) {
  return warmingStats({
    enabled: true,
    reads: { hits: 0, misses: 0, errors: 0, stale: 0, invalidations: 4, warmHits: 0, ...reads },
    ttlMs: 90_000,
    pool: pending === null ? null : { size: 4, available: 1, pending },
    config: { defaultSessionCount: 1000, batchSize: 100, recentWindowHours: 24 },
  })
}
const levelsOf = (...of: Parameters<typeof statsOf>) => verdictOf(statsOf(...of)).map(({ level }) => level)

describe('warmingStats', () => {
  it('has the fields of the guide; ttl in seconds', () => {
    assertEquals(statsOf({ hits: 3, misses: 1, errors: 2 }, 5), {
      cache: { enabled: true, hitRate: 0.75, hits: 3, misses: 1, errors: 2, invalidations: 4, ttl: 90 },
      pool: { size: 4, available: 1, pending: 5 },
      config: { defaultSessionCount: 1000, batchSize: 100, recentWindowHours: 24 },
    })
  })

  it('knows no hit rate before the first read, and says so', () => {
    assertEquals(statsOf({}).cache.hitRate, null)
    const [hitRate, errors] = verdictOf(statsOf({}))
    assertEquals([hitRate?.level, hitRate?.value, errors?.value], ['ok', null, null])
    assert(hitRate?.advice?.startsWith('no reads yet'))
    assert(!JSON.stringify(verdictOf(statsOf({}, null))).includes('NaN'))
  })
})

describe('verdictOf', () => {
  it('warns of a hit rate below 80 %, and below 50 % it is critical', () => {
    const at = (hits: number) => levelsOf({ hits, misses: 1000 - hits })[0]
    assertEquals([1000, 800, 799, 500, 499, 0].map(at), ['ok', 'ok', 'warning', 'warning', 'critical', 'critical'])
  })

  it('warns of errors above 5 % of the reads, also where no read came to an end', () => {
    const at = (errors: number) => levelsOf({ hits: 900, misses: 100, errors })[1]
    assertEquals([0, 50, 51, 5000].map(at), ['ok', 'ok', 'warning', 'warning'])
    const [, failed] = verdictOf(statsOf({ errors: 7 }))
    assertEquals([failed?.level, failed?.value], ['warning', 1])
  })

  it('warns of more than 10 that wait, and above 20 it is critical', () => {
    const at = (pending: number | null) => levelsOf({ hits: 1 }, pending)[2]
    assertEquals([null, 0, 10, 11, 20, 21].map(at), ['ok', 'ok', 'ok', 'warning', 'warning', 'critical'])
  })

  it('says what to do about whatever is wrong', () => {
    for (const verdict of verdictOf(statsOf({ hits: 1, misses: 9, errors: 9 }, 30))) {
      assert(verdict.level !== 'ok')
      assertExists(verdict.advice)
      assert(verdict.value !== null)
    }
  })
})
