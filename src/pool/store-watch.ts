import type { Failure } from '../errors.ts'
import type { BatchEnd } from './member.ts'

/** Counts the batches in a row that could not reach the store. */
export class StoreWatch {
  #away = 0

  /** Takes a batch's end in. Why the store is to be given up, once so many in a row could not reach it; else null. */
  see(end: BatchEnd, most: number): Failure | null {
    const away = storeAway(end)
    if (away === undefined) return null
    this.#away = away === null ? 0 : this.#away + 1
    if (away === null || this.#away < most) return null
    this.#away = 0
    return away
  }
}

/** Why the store could not be reached; null: it could; undefined: that batch does not tell. */
function storeAway(end: BatchEnd): Failure | null | undefined {
  if (end.status === 'lost') return undefined
  if (end.status === 'failed') return end.failure.code === 'STORE_UNREACHABLE' ? end.failure : undefined
  const { keys, firstError } = end.report
  return firstError?.code === 'STORE_UNREACHABLE' && keys.failed > 0 && keys.failed === keys.planned ? firstError : null
}
