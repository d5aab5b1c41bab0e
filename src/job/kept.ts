import type { JobRequest } from '../types.ts'

/** What is remembered of a request, as JSON holds it: a parameter may be a bigint; a signal and a fence are for one run only. */
export function keptRequest({ signal: _signal, fence: _fence, ...kept }: JobRequest): JobRequest {
  return JSON.parse(JSON.stringify(kept, (_, value) => (typeof value === 'bigint' ? String(value) : value)))
}
