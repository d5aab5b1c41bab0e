import { PrewarmError } from '../errors.ts'
import type { Snapshot, SnapshotEntry, SnapshotHeader } from './types.ts'

/** Keys that a snapshot may have. */
export const MAX_KEYS = 1_000_000
/** A longer key is none that the access log counts. In characters. */
const MAX_KEY_LENGTH = 4096
const VERSION = 1

/** A snapshot as text: a line of JSON for its head, then one for each key, hottest first. */
export function formatSnapshot({ config, savedAtMs, entries }: Omit<Snapshot, 'keys'>): string {
  const saved_at = new Date(savedAtMs).toISOString()
  const lines = [JSON.stringify({ prewarm: 'snapshot', version: VERSION, config, saved_at, keys: entries.length })]
  for (const { key, score, ttlMs } of entries) lines.push(JSON.stringify({ key, score, ttl_ms: ttlMs }))
  return `${lines.join('\n')}\n`
}

/**
 * Reads what {@linkcode formatSnapshot} wrote: all of it, or nothing.
 *
 * @param name what errors call it
 * @throws {PrewarmError} `SNAPSHOT_INVALID` naming the line and what was expected
 */
export function parseSnapshot(text: string, name: string): Snapshot {
  const lines = text.split('\n')
  const header = parseHeader(lines[0] as string, name)
  if (lines.at(-1) !== '') {
    const expected = 'a line that ends: the text was cut'
    throw invalid(name, lines.length, expected)
  }
  const found = lines.length - 2
  if (found !== header.keys) {
    const what = `${header.keys} keys, as line 1 says; there are ${found}`
    throw invalid(name, Math.min(found, header.keys) + 2, what)
  }
  const entries: SnapshotEntry[] = []
  const keys = new Set<string>()
  for (let at = 1; at <= found; at++) {
    const entry = parseEntry(lines[at] as string, name, at + 1)
    if (keys.size === keys.add(entry.key).size)
      throw invalid(name, at + 1, `each key once, ${show(entry.key)} came before`)
    entries.push(entry)
  }
  return { ...header, entries }
}

/** Whether a first line may be a snapshot's, be it cut: what begins with another one is no snapshot. */
export function mayBeHead(line: string): boolean {
  return line === '' || /^\s*\{\s*"prewarm"/.test(line)
}

/** The head alone. @throws as {@linkcode parseSnapshot} */
export function parseHeader(line: string, name: string): SnapshotHeader {
  if (line === '') throw invalid(name, 1, 'a head such as {"prewarm":"snapshot","version":1,…}; it is empty')
  const head = objectOf(line, name, 1, '{"prewarm":"snapshot","version":1,…}')
  const { prewarm, version, config, saved_at, keys } = head
  if (prewarm !== 'snapshot') throw invalid(name, 1, `"prewarm":"snapshot", it is ${show(prewarm)}`)
  if (version !== VERSION) {
    throw invalid(name, 1, `"version":${VERSION}, it is ${show(version)}: written by another version of prewarm`)
  }
  if (typeof config !== 'string' || config === '') throw invalid(name, 1, `"config" as text, it is ${show(config)}`)
  const savedAtMs = typeof saved_at === 'string' ? Date.parse(saved_at) : Number.NaN
  if (!Number.isFinite(savedAtMs)) throw invalid(name, 1, `"saved_at" as a time, it is ${show(saved_at)}`)
  if (!Number.isInteger(keys) || (keys as number) < 0 || (keys as number) > MAX_KEYS)
    throw invalid(name, 1, `"keys" from 0 to ${MAX_KEYS}, it is ${show(keys)}`)
  return { config, savedAtMs, keys: keys as number }
}

function parseEntry(line: string, name: string, at: number): SnapshotEntry {
  const { key, score, ttl_ms } = objectOf(line, name, at, '{"key":"…","score":1,"ttl_ms":null}')
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH)
    throw invalid(name, at, `"key" as text of 1 to ${MAX_KEY_LENGTH} characters, it is ${show(key)}`)
  if (typeof score !== 'number') throw invalid(name, at, `"score" as a number, it is ${show(score)}`)
  const isTime = ttl_ms === null || (typeof ttl_ms === 'number' && ttl_ms >= -1)
  if (!isTime) throw invalid(name, at, `"ttl_ms" as null or a number from -1, it is ${show(ttl_ms)}`)
  return { key, score, ttlMs: ttl_ms as number | null }
}

function objectOf(line: string, name: string, at: number, expected: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    // Told below.
  }
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw invalid(name, at, `${expected}, it is ${show(line)}`)
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not there'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

function invalid(name: string, line: number, expected: string): PrewarmError {
  const fix = 'take another one, or save it anew with `prewarm snapshot save`'
  return new PrewarmError('SNAPSHOT_INVALID', `${name}, line ${line}: expected ${expected}: ${fix}`)
}
