import type { WarmerFacade } from '../facade.ts'
import { type PlannedJob, planJob } from '../inspect/plan.ts'
import { select } from '../inspect/select.ts'
import type { JobRequest, PlanEntry } from '../types.ts'
import { Warmer } from '../warmer.ts'

/** What a request would do, task by task; `explain`: also which keys come first, and why. Reads the origin, writes nothing. */
export type Plan = (
  request: JobRequest,
  signal: AbortSignal,
  options: { explain: boolean },
) => Promise<PlannedJob | PlanEntry[]>

/** The plan of a real warmer; undefined for anything else that only looks like one. */
export function planOf(warmer: WarmerFacade): Plan | undefined {
  if (!(warmer instanceof Warmer)) return undefined
  return async (request, signal, { explain: isExplained }) => {
    const selected = select(warmer.config, request)
    const tasks = selected.map(({ task }) => task)
    const ranking = warmer.rankingOf(request, tasks)
    return planJob(warmer, selected, { count: request.count, signal, ranking, isExplained })
  }
}
