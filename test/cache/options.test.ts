import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import { entryTimes, settleCache } from '../../src/cache/options.ts'
import { isPrewarmError } from '../../src/errors.ts'

describe('settleCache', () => {
  it('fills in the documented defaults', () => {
    assertEquals(settleCache({}, 3_600_000), {
      maxItems: 1000,
      maxBytes: undefined,
      memoryTtlMs: 30_000,
      defaultTtlMs: 3_600_000,
      ttlJitter: 0.1,
      graceMs: 30_000,
      negativeTtlMs: 10_000,
      redisTimeoutMs: 50,
      loadTimeoutMs: 5000,
      waitMs: 3000,
      maxLoads: 32,
      maxWaiting: 10_000,
      beta: 1,
      keyspaceEvents: false,
    })
  })

  it('takes text or ms, and no memory at all', () => {
    const limits = settleCache({ memory: false, grace: '2m', negativeTtl: 0, waitTime: '1s', defaultTtl: 50 }, 1)
    assertEquals(
      [limits.maxItems, limits.graceMs, limits.negativeTtlMs, limits.waitMs, limits.defaultTtlMs],
      [0, 120_000, 0, 1000, 50],
    )
    assertEquals(settleCache({ memory: { maxItems: 5, maxBytes: 100, ttl: '1s' } }, 1).memoryTtlMs, 1000)
  })

  it('names each option that is wrong, its value and what was expected', () => {
    const wrong = { grace: '5 parsecs', memory: { maxItems: 0 }, maxLoads: 1.5, size: 3, weight: 4 } as never
    try {
      settleCache(wrong, 1)
    } catch (error) {
      assertEquals(isPrewarmError(error) && error.code, 'USAGE')
      const lines = (error as Error).message.split('\n')
      assertEquals(lines.length, 5)
      for (const part of [
        "grace is '5 parsecs'",
        'memory',
        'maxLoads is 1.5, expected a whole number',
        'size is no option',
        'weight is no option',
      ])
        assertEquals(
          lines.some((line) => line.includes(part)),
          true,
          `${part} in ${lines.join(' | ')}`,
        )
      return
    }
    throw new Error('it was accepted')
  })
})

describe('entryTimes', () => {
  it('reads ms and text, and leaves out what is absent', () => {
    assertEquals(entryTimes({ ttl: '5m', grace: 0 }), { ttlMs: 300_000, graceMs: 0, negativeTtlMs: undefined })
  })

  it('refuses a ttl of 0, a negative one and no time at all, by name', () => {
    for (const ttl of [0, -1, '5', Number.NaN]) assertThrows(() => entryTimes({ ttl }), Error, 'ttl is')
    assertThrows(() => entryTimes({ negativeTtl: 'never' }), Error, "negativeTtl is 'never'")
  })
})
