import type { SnapshotHeader } from './types.ts'

/** How long a list is worth more than one of fewer than half its keys. */
const KEPT_MS = 24 * 3_600_000

/**
 * Why the list that is there stays, rather than be replaced by one of `keys` keys; null: it is replaced.
 *
 * After FLUSHALL the access log is gone with the values: the list that is made then holds next to nothing, and the one that is
 * needed now is the old one. So no list is replaced by an empty one; and none that is younger than 24 h, and of the same
 * configuration, by one with fewer than half its keys (or of the keys that were asked for, if those are fewer).
 */
export function keptReason(
  old: SnapshotHeader | null,
  { keys, limit, config, nowMs }: { keys: number; limit: number; config: string; nowMs: number },
): string | null {
  if (old === null || old.keys === 0) return null
  if (keys === 0) return 'no hot key is known now'
  const isYoung = nowMs - old.savedAtMs < KEPT_MS
  if (!isYoung || old.config !== config || keys >= Math.min(old.keys, limit) / 2) return null
  return `only ${keys} hot keys are known now, fewer than half of the ${old.keys} that it has, and it is younger than 24 h`
}
