import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { type Claim, InFlight } from '../../src/queue/in-flight.ts'
import { check } from '../support/property.ts'

describe('InFlight', () => {
  it('claim gives a name to one holder until it is released', () => {
    const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 6 })
    const step = fc.record({ task: fc.constantFrom('one', 'two'), names, release: fc.option(fc.nat()) })
    const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const inFlight = new InFlight()
      const claims: { task: string; claim: Claim; isHeld: boolean }[] = []
      for (const { task, names, release } of steps) {
        if (release !== null) {
          const made = claims[release % Math.max(1, claims.length)]
          made?.claim.release()
          if (made !== undefined) made.isHeld = false
          continue
        }
        const held = claims.filter((made) => made.isHeld && made.task === task).flatMap(({ claim }) => claim.names)
        const claim = inFlight.claim(task, new Set(names))
        assertEquals(
          claim.names,
          [...new Set(names)].filter((name) => !held.includes(name)),
        )
        claims.push({ task, claim, isHeld: true })
      }
    })
    check(property)
  })

  it('claim keeps the order, hottest first', () => {
    assertEquals(new InFlight().claim('one', new Set(['c', 'a', 'b'])).names, ['c', 'a', 'b'])
  })

  it('isHeld says whether somebody holds a name now', () => {
    const inFlight = new InFlight()
    const claim = inFlight.claim('one', new Set(['a']))
    assertEquals(
      [inFlight.isHeld('one', 'a'), inFlight.isHeld('one', 'b'), inFlight.isHeld('two', 'a')],
      [true, false, false],
    )
    claim.release()
    assertEquals(inFlight.isHeld('one', 'a'), false)
  })
})
