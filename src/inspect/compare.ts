import { isDeepStrictEqual } from 'node:util'
import type { HeldValue } from '../cache/tier.ts'
import { codecFor } from '../codec/index.ts'
import type { Codec, Encoded } from '../codec/types.ts'
import type { Task } from '../config/task.ts'
import type { StoredValue } from '../store/types.ts'

/** Why what is stored is not what the origin gives now, without the values themselves; null if it is the same. */
export function difference(task: Task, wanted: Encoded, stored: StoredValue, ttlMs: number): string | null {
  return valueDifference(task, wanted, stored) ?? ttlDifference(task, ttlMs)
}

function valueDifference(task: Task, wanted: Encoded, stored: StoredValue): string | null {
  if (stored.type === 'other') return `it is a ${stored.name}, expected a ${wanted.type}`
  if (wanted.type === 'hash') {
    return stored.type === 'hash' ? hashDifference(wanted.fields, stored.fields) : 'it is a string, expected a hash'
  }
  if (stored.type === 'hash') return 'it is a hash, expected a string'
  if (stored.value === wanted.value) return null
  return isSameValue(codecFor(task.value), stored, wanted) ? null : 'the value differs'
}

function hashDifference(wanted: readonly string[], stored: Readonly<Record<string, string>>): string | null {
  const names = new Set<string>()
  for (let at = 0; at < wanted.length; at += 2) {
    const name = wanted[at] as string
    names.add(name)
    if (!Object.hasOwn(stored, name)) return `field '${name}' is missing`
    if (stored[name] !== wanted[at + 1]) return `field '${name}' differs`
  }
  const extra = Object.keys(stored).find((name) => !names.has(name))
  return extra === undefined ? null : `field '${extra}' is not the origin's`
}

/** A TTL may be shorter than the task's (by its age, by jitter), never longer. */
function ttlDifference(task: Task, ttlMs: number): string | null {
  if (ttlMs === -1) return 'it has no TTL'
  return ttlMs > task.ttlMs ? `its TTL is ${ttlMs} ms, expected at most ${task.ttlMs}` : null
}

/** The order of properties, and the times that some forms hold, make no difference. */
function isSameValue(codec: Codec, a: HeldValue, b: HeldValue): boolean {
  try {
    return isDeepStrictEqual(codec.decode(a), codec.decode(b))
  } catch {
    return false
  }
}
