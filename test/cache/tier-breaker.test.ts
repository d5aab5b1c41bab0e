import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { TierBreaker } from '../../src/cache/tier-breaker.ts'
import { FakeClock } from '../fakes/clock.ts'

describe('TierBreaker', () => {
  it('opens after five failures in a row, lets one question find out after a second, and closes on its answer', async () => {
    const clock = new FakeClock()
    const breaker = new TierBreaker(clock)
    for (let at = 0; at < 4; at++) breaker.tell('failed')
    breaker.tell('answered')
    for (let at = 0; at < 4; at++) breaker.tell('failed')
    assertEquals(breaker.tryAsk(), true)
    breaker.tell('failed')
    assertEquals(breaker.tryAsk(), false)
    await clock.advance(999)
    assertEquals(breaker.tryAsk(), false)
    await clock.advance(1)
    assertEquals([breaker.tryAsk(), breaker.tryAsk()], [true, false])
    breaker.tell('failed')
    assertEquals(breaker.tryAsk(), false)
    await clock.advance(1000)
    assertEquals(breaker.tryAsk(), true)
    breaker.tell('answered')
    assertEquals([breaker.tryAsk(), breaker.tryAsk()], [true, true])
  })
})
