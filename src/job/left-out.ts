import type { MemoryState } from '../store/memory-guard.ts'
import { choosesByReads } from '../store/victims.ts'
import type { MemoryReport } from '../types.ts'
import type { Lane } from './lane.ts'

/** What a job left out, and why. `evictedBefore`: what Redis had dropped when it began. */
export function memoryReport(
  lanes: readonly Pick<Lane, 'leftOut' | 'isCut'>[],
  state: MemoryState | undefined,
  evictedBefore: number | undefined,
): MemoryReport {
  const { usedMemoryBytes = 0, maxMemoryBytes = 0, evictionPolicy = 'unknown', evictedKeys } = state ?? {}
  return {
    leftOut: lanes.reduce((sum, { leftOut }) => sum + leftOut, 0),
    isExact: lanes.every(({ isCut }) => !isCut),
    reason: `Redis has room for no more (maxmemory ${sizeOf(maxMemoryBytes)}, ${evictionPolicy}); ${whyNot(evictionPolicy)}`,
    usedMemoryBytes,
    maxMemoryBytes,
    evictionPolicy,
    evictedKeys: evictedBefore === undefined || evictedKeys === undefined ? null : evictedKeys - evictedBefore,
  }
}

function whyNot(policy: string): string {
  if (policy === 'noeviction') return 'it would refuse further keys'
  if (choosesByReads(policy)) return 'what it would drop for them may be read more often'
  return 'what it would drop for them may be read often'
}

function sizeOf(bytes: number): string {
  const megabytes = bytes / 1024 ** 2
  return megabytes < 1024 ? `${Math.round(megabytes * 10) / 10} MB` : `${Math.round((megabytes / 1024) * 10) / 10} GB`
}
