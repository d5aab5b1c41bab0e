import { PrewarmError } from '../errors.ts'

/** A pattern for keys, as Redis reads it: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `\x`. */
export interface Glob {
  readonly source: string
  /** What every matching key begins with. */
  readonly literalPrefix: string
  /**
   * What to send to Redis: the same pattern, or one that also matches more. Redis' own matcher tries again for every `*`,
   * so that it gets few of them; `matches` decides.
   */
  readonly scanPattern: string
  /** Redis' own answer, in time proportional to the product of both lengths at most. */
  matches(key: string): boolean
}

/** One byte, any byte, one byte of a set, or any number of bytes. Redis goes by bytes of UTF-8, not by characters. */
type Part = number | 'any' | 'star' | Uint8Array

const MAX_LENGTH = 256
const MAX_STARS = 16
/** Stars that Redis gets to see. */
const SCAN_STARS = 4

const STAR = 0x2a
const QUESTION = 0x3f
const OPEN = 0x5b
const CLOSE = 0x5d
const ESCAPE = 0x5c
const NOT = 0x5e
const DASH = 0x2d

/**
 * Parses a Redis-style glob of at most 256 characters and 16 `*` (neighbours count once).
 *
 * @throws {PrewarmError} `REQUEST_INVALID`
 */
export function glob(source: string): Glob {
  if (source === '') throw invalid(source, 'it is empty: give * for every key')
  if (source.length > MAX_LENGTH)
    throw invalid(source, `it is ${source.length} characters long, at most ${MAX_LENGTH}: shorten it`)
  const { parts, starEnds, pattern } = parse(byteText(source))
  if (starEnds.length > MAX_STARS)
    throw invalid(source, `it has ${starEnds.length} '*', at most ${MAX_STARS}: match the rest with fewer`)
  const firstOpen = parts.findIndex((part) => typeof part !== 'number')
  const literal = (firstOpen === -1 ? parts : parts.slice(0, firstOpen)) as number[]
  return {
    source,
    literalPrefix: textOf(literal),
    scanPattern: textOf(bytesOf(starEnds.length > SCAN_STARS ? pattern.slice(0, starEnds[SCAN_STARS - 1]) : pattern)),
    matches: (key) => matches(parts, byteText(key)),
  }
}

/** The parts of a pattern; the pattern with neighbouring stars made one, and where in it each star ends. */
function parse(source: string): { parts: Part[]; starEnds: number[]; pattern: string } {
  const parts: Part[] = []
  const starEnds: number[] = []
  let pattern = ''
  for (let at = 0; at < source.length; ) {
    const code = source.charCodeAt(at)
    const start = at++
    if (code === STAR) {
      if (parts.at(-1) === 'star') continue
      parts.push('star')
      starEnds.push(pattern.length + 1)
    } else if (code === QUESTION) parts.push('any')
    else if (code === OPEN) {
      const { set, end } = parseSet(source, at)
      parts.push(set)
      at = end
    } else if (code === ESCAPE && at < source.length) parts.push(source.charCodeAt(at++))
    else parts.push(code)
    pattern += source.slice(start, at)
  }
  return { parts, starEnds, pattern }
}

/**
 * A set, from behind its `[`, to the letter of Redis' own `stringmatchlen` (src/util.c): `]` closes it wherever it stands, a
 * dash with something on both sides makes a range, whatever that is, and a set that nobody closes ends with the pattern.
 */
function parseSet(source: string, from: number): { set: Uint8Array; end: number } {
  const set = new Uint8Array(256)
  let at = from
  const isNot = source.charCodeAt(at) === NOT
  if (isNot) at++
  for (; at < source.length; at++) {
    const code = source.charCodeAt(at)
    if (code === ESCAPE && at + 1 < source.length) set[source.charCodeAt(++at)] = 1
    else if (code === CLOSE) break
    else if (at + 2 < source.length && source.charCodeAt(at + 1) === DASH) {
      addRange(set, code, source.charCodeAt(at + 2))
      at += 2
    } else set[code] = 1
  }
  if (isNot) for (let byte = 0; byte < 256; byte++) set[byte] = set[byte] === 1 ? 0 : 1
  return { set, end: Math.min(at + 1, source.length) }
}

/** Redis compares C's `char`, which is signed on x86: bytes from 128 on come before all others. */
function addRange(set: Uint8Array, a: number, b: number): void {
  const signed = (byte: number) => (byte << 24) >> 24
  const first = Math.min(signed(a), signed(b))
  const last = Math.max(signed(a), signed(b))
  for (let byte = first; byte <= last; byte++) set[byte & 255] = 1
}

/** Only the last star is tried again: what the ones before it took can stay as it is. */
function matches(parts: readonly Part[], key: string): boolean {
  let at = 0
  let part = 0
  let star = -1
  let starAt = 0
  while (at < key.length) {
    const wanted = parts[part]
    if (wanted === 'star') {
      star = part++
      starAt = at
    } else if (wanted !== undefined && takes(wanted, key.charCodeAt(at))) {
      part++
      at++
    } else if (star === -1) return false
    else {
      part = star + 1
      at = ++starAt
    }
  }
  while (parts[part] === 'star') part++
  return part === parts.length
}

function takes(part: Exclude<Part, 'star'>, byte: number): boolean {
  return typeof part === 'number' ? part === byte : part === 'any' || part[byte] === 1
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Text whose characters are the bytes of `text` in UTF-8. Most keys are ASCII, and are that already. */
function byteText(text: string): string {
  if (!/[^\u0000-\u007f]/.test(text)) return text
  let bytes = ''
  for (const byte of encoder.encode(text)) bytes += String.fromCharCode(byte)
  return bytes
}

function bytesOf(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0))
}

function textOf(bytes: readonly number[]): string {
  return decoder.decode(Uint8Array.from(bytes))
}

function invalid(source: string, why: string): PrewarmError {
  const shown = source.length > 40 ? `${source.slice(0, 40)}…` : source
  return new PrewarmError('REQUEST_INVALID', `Cannot use pattern '${shown}': ${why}`)
}
