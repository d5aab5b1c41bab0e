import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { msOf, timeOf } from '../../src/learn/time.ts'
import { check } from '../support/property.ts'

const AT = Date.parse('2026-03-01T02:03:04.567Z')
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

describe('a time', () => {
  it('may be a number of s, ms, µs or ns, also as text', () => {
    const ms = fc.integer({ min: 1e11, max: 9e12 })
    check(
      fc.property(ms, (at) => {
        assertEquals([timeOf(at), timeOf(String(at))], [at, at])
        const seconds = Math.floor(at / 1000)
        if (seconds < 1e11) assertEquals(timeOf(seconds), seconds * 1000)
        assertEquals(timeOf(at * 1000), at)
      }),
    )
    assertEquals(timeOf('1772330584.567'), AT)
    assertEquals(timeOf(AT * 1e6), AT)
    assertEquals(timeOf(0), 0)
  })

  it('may be ISO 8601, in UTC where no zone is given', () => {
    for (const text of [
      ...['2026-03-01T02:03:04.567Z', '2026-03-01 02:03:04.567', '2026-03-01T02:03:04,567+00:00'],
      ...['2026-03-01T03:33:04.567+01:30', '2026-03-01T00:03:04.567-0200', '2026-03-01T02:03:04.567000Z'],
    ])
      assertEquals(timeOf(text), AT, text)
    assertEquals(timeOf('2026-03-01'), Date.parse('2026-03-01T00:00:00Z'))
    assertEquals(timeOf('2026-03-01T02:03Z'), Date.parse('2026-03-01T02:03:00Z'))
    check(
      fc.property(fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), (date) => {
        assertEquals(timeOf(date.toISOString()), date.getTime())
      }),
    )
  })

  it('may be as web servers write it', () => {
    const two = (number: number) => String(number).padStart(2, '0')
    const zone = fc.integer({ min: -14 * 60, max: 14 * 60 })
    check(
      fc.property(fc.integer({ min: 0, max: 4e9 }), zone, (seconds, minutes) => {
        const local = new Date((seconds + minutes * 60) * 1000)
        if (local.getTime() < 0) return
        const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}${two(Math.abs(minutes) % 60)}`
        const day = `${two(local.getUTCDate())}/${MONTHS[local.getUTCMonth()]}/${local.getUTCFullYear()}`
        const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two).join(':')
        assertEquals(timeOf(`${day}:${clock} ${offset}`), seconds * 1000)
      }),
    )
  })

  it('is nothing else', () => {
    // A bare year is a number of seconds.
    for (const value of [
      '',
      'now',
      '2026',
      '2026-13-01',
      '2026-03-01T25:00Z',
      '31/Foo/2026:00:00:00 +0000',
      -1,
      Number.NaN,
      null,
      {},
      true,
    ])
      assertEquals(timeOf(value), value === '2026' ? 2_026_000 : null, String(value))
  })

  it('is ms where the field says so', () => {
    assertEquals([msOf(1000), msOf('1000'), msOf('x'), msOf(null)], [1000, 1000, null, null])
  })
})
