import type { Clock } from '../clock.ts'
import type { Config } from '../config/load.ts'
import { RedisJobLog } from '../coordination/job-log.ts'
import type { Commands, JobRecord, Locks } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import type { Schedules } from '../facade.ts'
import { gainFigures } from '../gain/figures.ts'
import type { TaskCosts } from '../job/strategy/types.ts'
import { applyChanges, revertChanges } from './apply.ts'
import { factsOf } from './facts.ts'
import { propose } from './propose.ts'
import { readsByTask } from './reads.ts'
import type { Optimization, OptimizeOptions, Proposal } from './types.ts'

/** What it looks at, and what it changes. */
export interface OptimizeParts {
  config: Pick<Config, 'tasks' | 'settings'>
  schedules: Schedules
  commands: Commands
  locks: Locks
  clock: Clock
  instance: string
  costs: () => Promise<TaskCosts>
  /** Jobs of this program, which Redis may not know of. */
  jobs: () => Promise<JobRecord[]>
}

/** Two at once would take back each other's schedules. No schedule can have this name. */
const LOCK = 'optimize:schedules'

/**
 * Proposes how each task's schedule should be, by what was read, what warming cost and what it was good for; `apply` registers
 * that, `revert` takes it back.
 *
 * @throws {PrewarmError} `USAGE` for both at once; `CONFLICT` if somebody else applies or reverts now; `STORE_*`;
 *   `REQUEST_INVALID` for a schedule that can't be registered
 */
export async function optimize(
  parts: OptimizeParts,
  { apply = false, revert = false }: OptimizeOptions = {},
): Promise<Optimization> {
  if (apply && revert) throw new PrewarmError('USAGE', 'Either apply or revert, not both: reverting applies nothing')
  if (!apply && !revert) return { ...(await proposal(parts)), applied: null }
  const attempt = await parts.locks.acquire(LOCK, parts.instance)
  if (!attempt.held) {
    const message = `Schedules are being optimized by ${attempt.holder} right now: try again when it is done`
    throw new PrewarmError('CONFLICT', message)
  }
  try {
    const { schedules, config } = parts
    if (revert) return { ...NOTHING, applied: await revertChanges(schedules) }
    const proposed = await proposal(parts)
    return { ...proposed, applied: await applyChanges(proposed.changes, schedules, config.tasks) }
  } finally {
    await attempt.lock.release()
  }
}

const NOTHING: Proposal = { tasksOptimized: 0, changes: [], expected: [], unchanged: [] }

async function proposal({
  config,
  schedules,
  commands,
  clock,
  instance,
  costs,
  jobs,
}: OptimizeParts): Promise<Proposal> {
  const nowMs = clock.nowMs()
  const reads = await readsByTask(commands, config.tasks, nowMs)
  const gain = await gainFigures({ commands, clock })
  const noted = await new RedisJobLog({ commands, clock, instance }).list()
  const known = [...(await jobs()), ...noted].sort((a, b) => (a.submittedAt < b.submittedAt ? 1 : -1))
  const views = await schedules.list()
  const { facts, unchanged } = factsOf({ config, views, reads, costs: await costs(), gain, jobs: known, nowMs })
  const proposed = propose(facts)
  const all = [...proposed.unchanged, ...unchanged].sort((a, b) => (a.task < b.task ? -1 : 1))
  return { ...proposed, unchanged: all }
}
