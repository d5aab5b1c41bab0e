import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { hash32, jitteredTtlMs } from '../../src/keyspace/ttl.ts'
import { keys } from '../fakes/tasks.ts'
import { check } from '../support/property.ts'

const ttl = fc.integer({ min: 1, max: 31_536_000_000 })
const jitter = fc.double({ min: 0, max: 1, noNaN: true })

/** Sum of squared deviations from an even spread over `buckets`; about `buckets` for chance. */
function chiSquare(shares: number[], buckets: number): number {
  const counts = new Array<number>(buckets).fill(0)
  for (const share of shares) {
    const bucket = Math.min(buckets - 1, Math.floor(share * buckets))
    counts[bucket] = (counts[bucket] ?? 0) + 1
  }
  const expected = shares.length / buckets
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('jitteredTtlMs', () => {
  it('jitteredTtlMs is a whole number of ms, early by at most the jitter, never late, never 0', () => {
    const property = fc.property(fc.string(), ttl, jitter, (key, ttlMs, share) => {
      const given = jitteredTtlMs(key, ttlMs, share)
      assert(Number.isInteger(given), `${given}`)
      assert(given >= Math.max(1, Math.floor(ttlMs * (1 - share))) && given <= ttlMs, `${given} of ${ttlMs}`)
    })
    check(property, 1000)
  })

  it('jitteredTtlMs is a whole number of ms for a TTL that is none', () => {
    for (const share of [0, 0.1]) assert(Number.isInteger(jitteredTtlMs('k', 1000.5, share)), `jitter ${share}`)
  })

  it('jitteredTtlMs is the same for the same key', () => {
    const property = fc.property(fc.string(), ttl, jitter, (key, ttlMs, share) =>
      assertEquals(jitteredTtlMs(key, ttlMs, share), jitteredTtlMs(key, ttlMs, share)),
    )
    check(property)
  })

  it('jitteredTtlMs spreads neighbouring keys evenly', () => {
    for (const made of [keys(10_000), keys(10_000).map((key) => `session:${key}:profile`)]) {
      const shares = made.map((key) => (1_000_000 - jitteredTtlMs(key, 1_000_000, 0.5)) / 500_000)
      const found = chiSquare(shares, 50)
      // 49 degrees of freedom: above 100 is less likely than one in 20,000.
      assert(found < 100, `chi square ${found}`)
    }
  })
})

describe('hash32', () => {
  it('hash32 is an unsigned 32-bit number that one character changes', () => {
    const property = fc.property(fc.string(), (text) => {
      const hash = hash32(text)
      assert(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 32)
      assert(hash32(`${text}a`) !== hash32(`${text}b`))
    })
    check(property)
  })
})
