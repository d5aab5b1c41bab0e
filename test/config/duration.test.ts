import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { parseDuration, showMs } from '../../src/config/duration.ts'
import { check } from '../support/property.ts'

const READ: [unknown, number][] = [
  [0, 0],
  [250, 250],
  [1.4, 1],
  ['250ms', 250],
  ['30s', 30_000],
  ['1.5s', 1500],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
  [' 5 m ', 300_000],
]
const REFUSED = [
  '5',
  '',
  'm',
  '5 minutes',
  '-5m',
  '1h30m',
  '5M',
  '1e3ms',
  '.5s',
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
]

const SHOWN: [number, string][] = [
  [0, '0 ms'],
  [850, '850 ms'],
  [1200, '1.2 s'],
  [300_000, '5 m'],
  [310_000, '5 m 10 s'],
  [3_600_000, '1 h'],
  [5_400_000, '1 h 30 m'],
  [86_400_000, '24 h'],
]

/** What `showMs` may say, and what it means. */
function meaning(text: string): number {
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  return [...text.matchAll(/([\d.]+) (ms|s|m|h)\b/g)].reduce(
    (sum, [, amount, name]) => sum + Number(amount) * unit[name as keyof typeof unit],
    0,
  )
}

describe('parseDuration', () => {
  for (const [given, ms] of READ)
    it(`parseDuration reads ${JSON.stringify(given)} as ${ms} ms`, () => assertEquals(parseDuration(given), ms))

  it('parseDuration refuses what could mean something else, or nothing', () => {
    for (const given of [...REFUSED, null, undefined, {}, [5], true])
      assertEquals(parseDuration(given), null, `${given}`)
  })
})

describe('showMs', () => {
  for (const [ms, text] of SHOWN) it(`showMs shows ${ms} as ${text}`, () => assertEquals(showMs(ms), text))

  it('showMs shows no part beyond its unit, and is right to half of its smallest unit', () => {
    const near = (edge: number) => fc.integer({ min: Math.max(0, edge - 600), max: edge + 600 })
    const edges = [0, 1000, 60_000, 120_000, 3_600_000, 86_400_000].map(near)
    const property = fc.property(fc.oneof(...edges, fc.integer({ min: 0, max: 200_000_000 })), (ms) => {
      const text = showMs(ms)
      assertEquals(/\b60(\.0)? [sm]\b|\b1000 ms/.test(text), false, `${ms}: ${text}`)
      const halfUnit = ms < 1000 ? 0.5 : ms < 60_000 ? 50 : ms < 3_600_000 ? 500 : 60_000
      assertEquals(Math.abs(meaning(text) - ms) <= halfUnit, true, `${ms}: ${text}`)
    })
    check(property, 2000)
  })
})
