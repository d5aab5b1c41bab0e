import type { TaskProgress } from '../types.ts'
import type { Lane } from './lane.ts'
import { plannedKeys, type TaskPlan } from './plan.ts'

/** How far a lane is with its plan. */
export function progressOf(lane: Lane, plan: TaskPlan | undefined): TaskProgress {
  const { tally, task, startNs, endNs, isEnded, options } = lane
  const { planned, failed } = tally.keys
  const seconds = ((endNs ?? options.clock.nowNs()) - startNs) / 1e9
  const known = plannedKeys(plan)
  return {
    task: task.name,
    done: planned,
    total: isEnded ? planned : known === null ? null : Math.max(known - lane.leftOut, planned),
    estimated: !isEnded && plan?.kind === 'stream',
    failed,
    keysPerSecond: seconds > 0 ? planned / seconds : 0,
    finished: isEnded,
  }
}
