import type { Outcome } from '../types.ts'
import { mayPass, refused } from './redis-errors.ts'
import type { Entry, StoredValue, WriteFailure, WriteOptions, WriteResult } from './types.ts'
import type { Chunk, VersionPlace } from './write-script.ts'

const LETTERS: Record<string, Outcome> = { w: 'written', p: 'skipped_present', n: 'skipped_newer', f: 'failed' }

/** Where the versions of a batch are kept. */
export function versionPlace(chunk: Chunk | undefined, { mode, versionField }: WriteOptions): VersionPlace {
  if (mode !== 'newer') return 'none'
  if (versionField === null) return 'beside'
  return chunk?.entries[0]?.encoded.type === 'hash' ? 'field' : 'json'
}

/** Notes what the script says of each entry of a chunk. */
export function record(chunk: Chunk, reply: unknown, result: WriteResult): void {
  const [letters, ...errors] = reply as [string, ...(number | string)[]]
  for (let at = 0; at < chunk.entries.length; at++)
    result.outcomes[chunk.first + at] = LETTERS[letters[at] as string] as Outcome
  for (let at = 0; at < errors.length; at += 2) {
    const entry = chunk.entries[errors[at] as number] as Entry
    const message = String(errors[at + 1])
    fail(result, chunk.first + (errors[at] as number), 'failed', {
      failure: refused(message, entry.key),
      retryable: mayPass(message),
    })
  }
}

/** Nothing of a chunk was written, since somebody else has had the lock. Another try can't help. */
export function lockLost(chunk: Chunk, result: WriteResult): void {
  for (const [at, { key }] of chunk.entries.entries()) {
    const message = `'${key}' was not written: another instance has taken the lock that this warm-up ran under`
    fail(result, chunk.first + at, 'failed', { failure: { code: 'LOCK_LOST', message, key }, retryable: false })
  }
}

export function fail(result: WriteResult, index: number, outcome: 'failed' | 'unknown', failure: WriteFailure): void {
  result.outcomes[index] = outcome
  result.failures.set(index, failure)
}

/** True if the store holds exactly what `entry` would write. */
export function isSame(stored: StoredValue | null, { encoded }: Entry): boolean {
  if (stored === null || stored.type !== encoded.type) return false
  if (encoded.type === 'string') return (stored as { value: string }).value === encoded.value
  const { fields } = stored as { fields: Record<string, string> }
  if (Object.keys(fields).length !== encoded.fields.length / 2) return false
  for (let at = 0; at < encoded.fields.length; at += 2) {
    if (fields[encoded.fields[at] as string] !== encoded.fields[at + 1]) return false
  }
  return true
}

/** What the store was found to hold where a write was sent and never answered. */
export type Found = 'nothing' | 'another value' | 'no answer'

/** A write that was sent and never answered. Over another value it is not repeated: that one may be newer. */
export function unconfirmed(key: string, found: Found): WriteFailure {
  const what = {
    nothing: 'was not written',
    'another value': 'was not written, or replaced since: the store holds another value',
    'no answer': 'may or may not be written',
  }[found]
  const message = `'${key}' ${what}; the connection was lost after the write was sent`
  const failure = { code: 'WRITE_UNCONFIRMED', message, key } as const
  return { failure, retryable: found === 'nothing', needsFreshRead: found === 'another value' }
}
