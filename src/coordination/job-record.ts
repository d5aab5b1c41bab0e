import type { JobRecord } from './types.ts'

/** Jobs that are remembered. */
export const REMEMBERED = 200

/** Keys of a request that are remembered once its job has ended. */
const MAX_KEYS_ENDED = 100

/** Whether a job has ended. */
export function hasEnded({ status }: JobRecord): boolean {
  return status !== 'queued' && status !== 'running'
}

/** What is remembered of a job: its request without what can't be kept, or is of no use to a later one; few keys once it has ended. */
export function bounded(record: JobRecord): JobRecord {
  const { signal: _signal, fence: _fence, ...request } = record.request
  if (!hasEnded(record) || request.keys === undefined) return { ...record, request }
  return { ...record, request: { ...request, keys: request.keys.slice(0, MAX_KEYS_ENDED) } }
}
