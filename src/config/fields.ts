import { z } from 'zod'
import { parseDuration } from './duration.ts'

/** Lowest and highest value of each kind of number, and whether it is a whole one. */
export const BOUNDS = {
  ttlMs: [1, 31_536_000_000, false],
  timeoutMs: [1, 86_400_000, false],
  delayMs: [0, 86_400_000, false],
  maxOriginRps: [0.1, 1_000_000, false],
  concurrentWarmers: [1, 1000, true],
  batchSize: [1, 10_000, true],
  retries: [0, 20, true],
  workers: [0, 64, true],
  port: [0, 65_535, true],
  perMinute: [1, 1_000_000, true],
  share: [0, 1, false],
  count: [1, 1_000_000, true],
  keyEvents: [0, 100_000, true],
} as const

export function number([min, max, whole]: readonly [number, number, boolean]) {
  const expected = `expected a ${whole ? 'whole ' : ''}number from ${min} to ${max}`
  return z.custom<number>(
    (value) => typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value)),
    expected,
  )
}

export function duration([min, max]: readonly [number, number, boolean]) {
  return z.custom<number | string>((value) => {
    const ms = parseDuration(value)
    return ms !== null && ms >= min && ms <= max
  }, `expected ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from ${min} to ${max} ms`)
}

export const text = z.custom<string>(
  (value) => typeof value === 'string' && value !== '',
  'expected text that is not empty',
)
export const flag = z.custom<boolean>((value) => typeof value === 'boolean', 'expected true or false')
export const fn = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'expected a function')
export const texts = z.array(text, 'expected a list of texts')
export const oneOf = (...names: readonly string[]) =>
  z.custom<string>(
    (value) => names.includes(value as string),
    `expected one of ${names.map((n) => `'${n}'`).join(', ')}`,
  )
export const url = (...protocols: string[]) =>
  z.custom<string>(
    (value) => typeof value === 'string' && protocols.some((protocol) => value.startsWith(protocol)),
    `expected a URL that starts with ${protocols.join(' or ')}`,
  )
