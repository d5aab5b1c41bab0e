import type { WarmerFacade } from '../facade.ts'
import { planEntries } from '../inspect/plan.ts'
import { select } from '../inspect/select.ts'
import type { JobRequest, PlanEntry } from '../types.ts'
import { Warmer } from '../warmer.ts'

/** What a request would do, task by task. Reads the origin, writes nothing. */
export type Plan = (request: JobRequest, signal: AbortSignal) => Promise<PlanEntry[]>

/** The plan of a real warmer; undefined for anything else that only looks like one. */
export function planOf(warmer: WarmerFacade): Plan | undefined {
  if (!(warmer instanceof Warmer)) return undefined
  return async (request, signal) =>
    planEntries(warmer, select(warmer.config, request), { count: request.count, signal })
}
