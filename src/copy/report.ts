import type { Failure } from '../errors.ts'

/** What became of each key that was chosen, counted once. */
export interface CopyCounts {
  /** The hottest of those that match. */
  chosen: number
  copied: number
  /** At the target already: never replaced. */
  present: number
  /** Changed, deleted, or being loaded at the target: what is there is newer. */
  newer: number
  /** Expired, or gone from the source, meanwhile. */
  gone: number
  failed: number
  /** Sent, and never answered for. */
  unknown: number
  /** The target has no room for them. */
  leftOut: number
  /** Not come to: the next copy goes on there. */
  left: number
}

/** How a copy ended. `full`: the target has no room. `failed`: a server went away, or refused. */
export type CopyEnding = 'all' | 'deadline' | 'interrupted' | 'full' | 'failed'

export interface CopyReport extends CopyCounts {
  ended: CopyEnding
  /** Keys that match, as SCAN gave them; some may be counted twice. */
  looked: number
  /** What their heat is: a counter under LFU, the time since their last use, or their place in a snapshot. */
  by: 'freq' | 'idle' | 'snapshot'
  /** The first of them: `heat` is the counter, or minus the seconds. */
  hottest: { key: string; heat: number }[]
  /** Versions of tags, without which tagged values are not served. */
  tags: number
  /** Memory that the copied keys take at the source. */
  bytes: number
  durationMs: number
  dryRun: boolean
  firstError: Failure | null
}

export function noCounts(): CopyCounts {
  const ends = { copied: 0, present: 0, newer: 0, gone: 0, failed: 0, unknown: 0 }
  return { chosen: 0, ...ends, leftOut: 0, left: 0 }
}
