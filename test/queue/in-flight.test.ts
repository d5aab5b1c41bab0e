import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { InFlight } from '../../src/queue/in-flight.ts'
import { check } from '../support/property.ts'

describe('InFlight', () => {
  it('claim gives a name to one holder until it is released', () => {
    const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 6 })
    const step = fc.record({ task: fc.constantFrom('one', 'two'), names, release: fc.boolean() })
    const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const inFlight = new InFlight()
      const held = new Set<string>()
      for (const { task, names, release } of steps) {
        if (release) {
          inFlight.release(task, names)
          for (const name of names) held.delete(`${task}/${name}`)
          continue
        }
        const free = [...new Set(names)].filter((name) => !held.has(`${task}/${name}`))
        assertEquals(inFlight.claim(task, names), free)
        for (const name of free) held.add(`${task}/${name}`)
      }
    })
    check(property)
  })

  it('claim keeps the order, hottest first', () => {
    assertEquals(new InFlight().claim('one', ['c', 'a', 'c', 'b']), ['c', 'a', 'b'])
  })

  it('release of what nobody holds does nothing', () => {
    const inFlight = new InFlight()
    inFlight.release('one', ['a'])
    assertEquals(inFlight.claim('one', ['a']), ['a'])
  })
})
