import { type Duration, parseDuration } from '../config/duration.ts'

const TEN_YEARS_MS = 3_652 * 86_400_000

/**
 * A length of time in ms, within `minMs` and ten years.
 *
 * @throws {RangeError} naming the option and its value
 */
export function durationMs(name: string, value: Duration, minMs: number): number {
  const ms = parseDuration(value)
  if (ms !== null && ms >= minMs && ms <= TEN_YEARS_MS) return ms
  throw new RangeError(
    `${name} must be from ${minMs} ms to 10 years, such as 5000 or '5s', got ${JSON.stringify(value)}`,
  )
}
