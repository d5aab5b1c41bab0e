import { describe, it } from 'node:test'
import { assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { versionText } from '../../src/keyspace/version.ts'
import { check } from '../support/property.ts'

/** As the store compares: the longer is larger, then by text. */
function order(a: string, b: string): number {
  return Math.sign(a.length - b.length || (a < b ? -1 : a > b ? 1 : 0))
}

const micros = fc.bigInt({ min: 0n, max: 7_000_000_000_000_000n })
const zone = fc.constantFrom('Z', '+00', '+02', '-03:30', '+05:45', '+0530', '-12', '+14:00')

/** A time in one of the forms that Postgres and JavaScript write. */
function timestamp(us: bigint, zoneText: string, separator: string, digits: number): string {
  const digitsOf = zoneText === 'Z' ? '' : zoneText.slice(1).replace(':', '').padEnd(4, '0')
  const seconds = zoneText === 'Z' ? 0 : Number(digitsOf.slice(0, 2)) * 3600 + Number(digitsOf.slice(2)) * 60
  const offset = BigInt(seconds) * 1_000_000n * (zoneText[0] === '-' ? -1n : 1n)
  const local = us + offset
  const whole = new Date(Number(local / 1000n)).toISOString().slice(0, 19).replace('T', separator)
  const fraction = String(((local % 1_000_000n) + 1_000_000n) % 1_000_000n).padStart(6, '0')
  return `${whole}.${fraction.slice(0, digits)}${zoneText}`
}

describe('versionText', () => {
  it('versionText of integers orders as the integers do', () => {
    const number = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 80n }), fc.bigInt({ min: 0n, max: 20n }))
    const property = fc.property(number, number, (a, b) => {
      const expected = a < b ? -1 : a > b ? 1 : 0
      assertEquals(order(versionText(a), versionText(b)), expected)
      assertEquals(order(versionText(`00${a}`), versionText(String(b))), expected)
    })
    check(property, 500)
  })

  it('versionText of times orders as the times do, to the microsecond, whatever their form', () => {
    const form = fc.tuple(zone, fc.constantFrom(' ', 'T'))
    const near = fc
      .tuple(micros, fc.bigInt({ min: -2n, max: 2n }))
      .map(([a, d]) => [a, a + d < 0n ? 0n : a + d] as const)
    const pair = fc.oneof(near, fc.tuple(micros, micros))
    const property = fc.property(pair, form, form, ([a, b], first, second) => {
      const [left, right] = [versionText(timestamp(a, ...first, 6)), versionText(timestamp(b, ...second, 6))]
      assertEquals(order(left, right), a < b ? -1 : a > b ? 1 : 0)
      assertEquals(left, String(a))
    })
    check(property, 1000)
  })

  it('versionText of a date is that of its text', () => {
    const property = fc.property(fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), (date) => {
      assertEquals(versionText(date), versionText(date.toISOString()))
      assertEquals(versionText(date), String(date.getTime() * 1000))
    })
    check(property)
  })

  it('versionText reads a time without a zone as UTC and drops what is finer than microseconds', () => {
    assertEquals(versionText('2024-05-01 10:00:00'), versionText('2024-05-01T10:00:00Z'))
    assertEquals(versionText('2024-05-01 10:00:00.1234569+00'), versionText('2024-05-01 10:00:00.123456+00'))
  })

  it('versionText refuses what is neither an integer from 0 up nor a time since 1970', () => {
    const bad = [
      -1,
      1.5,
      Number.NaN,
      -1n,
      '',
      'x',
      '-5',
      '1.5',
      null,
      undefined,
      true,
      {},
      new Date(Number.NaN),
      new Date(-1),
    ]
    const times = [
      '1969-12-31 23:59:59+00',
      '1970-01-01 00:00:00+01',
      '0071-01-01 00:00:00+00',
      '2024-05-01',
      '10:00:00',
    ]
    for (const value of [...bad, ...times]) {
      const error = assertThrows(() => versionText(value), PrewarmError, undefined, `it took ${String(value)}`)
      assertEquals(error.code, 'VERSION_INVALID')
    }
  })
})
