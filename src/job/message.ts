import type { BatchMessage } from '../pool/protocol.ts'
import type { Lane } from './lane.ts'
import type { Unit } from './unit.ts'

/** What a worker may take beyond the bounds it keeps itself, before it counts as hung, ms. */
const GRACE_MS = 5000

export interface MessageOptions {
  id: number
  traceId: string
  maxOriginRps: number
  backoffBaseMs: number
  storeTimeoutMs: number
  keyEvents: ((keys: number) => number) | undefined
}

/** A lane's batch as it travels to a worker, by the lane's task as it is now; and after how long the worker counts as hung. */
export function batchMessage(
  lane: Lane,
  unit: Unit,
  { id, traceId, maxOriginRps, backoffBaseMs, storeTimeoutMs, keyEvents }: MessageOptions,
): { batch: BatchMessage; boundMs: number } {
  const { name, timeoutMs, kind, retries } = lane.task
  const requestIntervalMs = kind === 'http' ? 1000 / maxOriginRps : 0
  const readBoundMs = kind === 'http' ? (unit.keys ?? 1) * Math.max(timeoutMs, requestIntervalMs) : timeoutMs + 1000
  const batch = {
    id,
    task: name,
    work: unit.work,
    params: lane.params,
    timeoutMs,
    storeTimeoutMs,
    backoffBaseMs,
    ttlMs: lane.options.ttlMs ?? lane.task.ttlMs,
    retries,
    ...(lane.options.fence === undefined ? {} : { fence: lane.options.fence }),
    keyEvents: keyEvents?.(unit.keys ?? lane.batchSize) ?? 0,
    ...(unit.onlyPresent === true ? { onlyPresent: true } : {}),
    requestIntervalMs,
    traceId,
  }
  return { batch, boundMs: readBoundMs + 2 * storeTimeoutMs + GRACE_MS }
}
