import { parseDuration } from '../config/duration.ts'
import { BOUNDS } from '../config/fields.ts'
import { PrewarmError, redact } from '../errors.ts'

type Parser<T> = (text: string, previous?: T) => T

/** A number within bounds; a bad one names the flag, the value and what was expected. */
export function numberOf(flag: string, [min, max, isWhole]: readonly [number, number | null, boolean]): Parser<number> {
  return (text) => {
    const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER) && (!isWhole || Number.isInteger(value))) return value
    const bounds = max === null ? `from ${min}` : `from ${min} to ${max}`
    throw bad(flag, text, `a ${isWhole ? 'whole ' : ''}number ${bounds}`)
  }
}

/** Milliseconds as a number, or text such as `5m`. */
export function durationOf(flag: string, [min, max]: readonly [number, number, boolean]): Parser<number> {
  return (text) => {
    const ms = /^\d+$/.test(text) ? Number(text) : parseDuration(text)
    if (ms !== null && ms >= min && ms <= max) return ms
    throw bad(flag, text, `ms as a number, or text such as '5m' (units ms, s, m, h, d, w), from ${min} to ${max} ms`)
  }
}

/** A URL of one of the protocols. */
export function urlOf(flag: string, ...protocols: readonly string[]): Parser<string> {
  return (text) => {
    if (protocols.some((protocol) => text.startsWith(protocol)) && isUrl(text)) return text
    throw bad(flag, text, `a URL that starts with ${protocols.join(' or ')}`)
  }
}

/** Also of its escapes: a `%` in a password is `%25`. */
function isUrl(text: string): boolean {
  try {
    const { username, password, pathname } = new URL(text)
    return [username, password, pathname].every((part) => decodeURIComponent(part) !== undefined)
  } catch {
    return false
  }
}

/** One of these names. */
export function choiceOf(flag: string, names: readonly string[]): Parser<string> {
  return (text) => {
    if (names.includes(text)) return text
    throw bad(flag, text, `one of ${names.join(', ')}`)
  }
}

/** `name=value`, collected. */
export const pairOf: Parser<Record<string, string>> = (text, previous = {}) => {
  const at = text.indexOf('=')
  if (at <= 0) throw bad('--param', text, 'name=value')
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) }
}

/** A flag that may be given several times. */
export const listOf: Parser<string[]> = (text, previous = []) => [...previous, text]

export const FLAG_BOUNDS = { ...BOUNDS, count: [1, null, true], priority: [-1_000_000, 1_000_000, false] } as const

function bad(flag: string, value: string, expected: string): PrewarmError {
  // What is no URL can still hold a password.
  const shown = redact(value).replace(/^[^*]*@/, '***@')
  return new PrewarmError('USAGE', `${flag} is '${shown}', expected ${expected}`)
}
