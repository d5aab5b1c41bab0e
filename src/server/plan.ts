import type { WarmerFacade } from '../facade.ts'
import { planEntry } from '../inspect/plan.ts'
import { select } from '../inspect/select.ts'
import type { JobRequest, PlanEntry } from '../types.ts'
import { Warmer } from '../warmer.ts'

/** What a request would do, task by task. Reads the origin, writes nothing. */
export type Plan = (request: JobRequest, signal: AbortSignal) => Promise<PlanEntry[]>

/** The plan of a real warmer; undefined for anything else that only looks like one. */
export function planOf(warmer: WarmerFacade): Plan | undefined {
  if (!(warmer instanceof Warmer)) return undefined
  return async (request, signal) => {
    const entries: PlanEntry[] = []
    for (const one of select(warmer.config, request)) {
      entries.push(await planEntry(warmer, one, { count: request.count, signal }))
    }
    return entries
  }
}
