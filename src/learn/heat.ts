import type { Task } from '../config/task.ts'
import { jitteredTtlMs } from '../keyspace/ttl.ts'
import { filledByOf } from '../store/changes.ts'
import type { KeyHeat, StoreHeat } from '../store/types.ts'
import { accessesOf, counterBeyond, type LfuSettings } from './lfu.ts'

/** What a key's heat tells of its readers. */
export type Verdict =
  | { is: 'read'; reads: number; lastMs: number }
  /** Nobody has read it since it was written, by whomever. */
  | { is: 'unread' }
  /** It was last touched by warming, or may have been. */
  | { is: 'warmed' }

/**
 * Redis' clock for this shows whole seconds, and is set every 0.1 s (later where a script runs): a touch can look a second
 * later than it was, and an expiry time 0.1 s earlier. What was touched so soon after a warming may be that.
 */
const TOLERANCE_MS = 2000
/**
 * Times that warming may have touched a key and Redis still knows of: up to two each time it is warmed, and one is forgotten a
 * minute. Counters that never fall have seen all of them.
 */
const OWN_TOUCHES = 4
const OWN_TOUCHES_WITHOUT_DECAY = 1000
/** Of so many keys that only warming touched, one is taken for read. */
const CHANCE = 1e-5

/** Tells which keys users read from those that only warming wrote. */
export class HeatJudge {
  readonly #lfu: LfuSettings
  readonly #ownTouches: number
  /** From this counter on, readers must have been there too. */
  readonly #counterOfReaders: number

  constructor(lfu: LfuSettings) {
    this.#lfu = lfu
    this.#ownTouches = lfu.decayMinutes === 0 ? OWN_TOUCHES_WITHOUT_DECAY : OWN_TOUCHES
    this.#counterOfReaders = counterBeyond(this.#ownTouches, lfu.logFactor, CHANCE)
  }

  /** @param task whose key it is */
  judge(key: string, task: Task, heat: KeyHeat, of: Pick<StoreHeat, 'nowMs' | 'exact'>): Verdict {
    return heat.counter === null ? byIdleTime(key, task, heat, of) : this.#byCounter(heat.counter, heat, of)
  }

  #byCounter(counter: number, { expiresAtMs }: KeyHeat, { nowMs, exact }: Pick<StoreHeat, 'nowMs' | 'exact'>): Verdict {
    const { logFactor } = this.#lfu
    // Without exact times anything that expires may be warming's.
    const mayBeWarmed = expiresAtMs !== null && (!exact || filledByOf(expiresAtMs) === 'warm')
    if (mayBeWarmed) {
      if (counter < this.#counterOfReaders) return { is: 'warmed' }
      return { is: 'read', reads: Math.max(1, accessesOf(counter, logFactor) - this.#ownTouches), lastMs: nowMs }
    }
    const reads = accessesOf(counter, logFactor)
    return reads === 0 ? { is: 'unread' } : { is: 'read', reads, lastMs: nowMs }
  }
}

/** One read, at the time of the last touch, unless that is the time at which the key was warmed. */
function byIdleTime(key: string, task: Task, heat: KeyHeat, of: Pick<StoreHeat, 'nowMs' | 'exact'>): Verdict {
  const { expiresAtMs, idleMs } = heat
  const touchedMs = Math.floor(of.nowMs / 1000) * 1000 - (idleMs ?? 0)
  const read: Verdict = { is: 'read', reads: 1, lastMs: touchedMs }
  if (expiresAtMs === null) return read
  if (of.exact && filledByOf(expiresAtMs) !== 'warm') return read
  const writtenMs = expiresAtMs - jitteredTtlMs(key, task.ttlMs, task.ttlJitter)
  // It was written with another TTL than the task's, so that nobody knows when; or warming reads it to compare versions.
  const isUnclear = writtenMs > of.nowMs + TOLERANCE_MS || (task.mode === 'newer' && typeof task.version === 'string')
  return isUnclear || touchedMs - writtenMs <= TOLERANCE_MS ? { is: 'warmed' } : read
}
