import type { Clock } from './clock.ts'
import type { Task } from './config/task.ts'
import type { Lane } from './job/lane.ts'
import type { TaskPlan } from './job/plan.ts'
import type { JobRanking } from './job/strategy/job-ranking.ts'
import { planRanked, rankPlan, withOnly } from './job/strategy/plan-ranked.ts'
import { backoffMs } from './origin/backoff.ts'
import { isRetryable } from './origin/failure.ts'
import type { SqlClient } from './origin/sql-client.ts'
import { InFlight } from './queue/in-flight.ts'
import type { Params } from './types.ts'

export interface PlannerParts {
  client: () => SqlClient
  clock: Clock
  random: () => number
  backoffBaseMs: number
}

/** What of a task is wanted. */
export interface Wanted {
  /** At most this many keys. */
  count: number | null
  /** Only these. */
  keys?: readonly string[] | undefined
  /** How they are ranked. */
  ranking: JobRanking
}

/** Finds out what a lane has to do: asks the origin, leaves out what other jobs are doing. */
export class Planner {
  readonly #parts: PlannerParts
  readonly #inFlight = new InFlight()

  constructor(parts: PlannerParts) {
    this.#parts = parts
  }

  /** Plans a lane, with retries, and claims its keys; `release` gives them back. */
  async plan(lane: Lane, wanted: Wanted, signal: AbortSignal): Promise<TaskPlan> {
    const { count, ranking } = wanted
    const listed = await this.#list(lane, wanted, signal)
    const { plan, notChosen } = await rankPlan(lane.task, listed, { ranking, count, signal })
    lane.notChosen = notChosen
    return this.#claim(lane, plan, count)
  }

  release(lane: Lane): void {
    lane.claim?.release()
  }

  async #list(lane: Lane, { count, keys, ranking }: Wanted, signal: AbortSignal): Promise<TaskPlan> {
    if (keys !== undefined) return { kind: 'keys', keys, failures: [] }
    const { client, clock, random, backoffBaseMs } = this.#parts
    const { task, params, batchSize } = lane
    for (let attempt = 0; ; attempt++) {
      lane.tally.originRequests++
      try {
        return await planRanked(task, client, { params, count, batchSize, signal }, ranking)
      } catch (error) {
        if (signal.aborted || attempt >= task.retries || !isRetryable(error)) throw error
        await clock.sleep(backoffMs(attempt, backoffBaseMs, random), signal)
      }
    }
  }

  #claim(lane: Lane, plan: TaskPlan, count: number | null): TaskPlan {
    const { task, params } = lane
    if (plan.kind === 'keys') {
      lane.claim = this.#inFlight.claim(task.name, plan.distinct ?? new Set(plan.keys))
      const { names } = lane.claim
      lane.deduplicated = plan.keys.length - names.length
      return lane.deduplicated === 0 ? plan : withOnly(plan, new Set(names))
    }
    // The keys of a query are not known before it is read: the query itself is claimed. Its first rows are not all of it.
    const whole = queryName(params)
    const wanted = count === null ? whole : `${count} of ${whole}`
    lane.claim = this.#inFlight.claim(task.name, new Set(this.#inFlight.isHeld(task.name, whole) ? [] : [wanted]))
    if (lane.claim.names.length > 0) return plan
    lane.deduplicated = plan.kind === 'ranges' ? plan.total : (plan.guess ?? 1)
    return { kind: 'keys', keys: [], failures: [] }
  }
}

function queryName(params: Params): string {
  return JSON.stringify(params, (_, value) => (typeof value === 'bigint' ? String(value) : value))
}

/**
 * Keys of a batch. A batch of an HTTP task makes a request a key: it is kept to a hundredth of a second's share, so that
 * batches which an origin has held up can't all go on at once when it recovers.
 */
export function laneBatchSize(task: Task, requested: number | undefined, maxOriginRps: number): number {
  const size = requested ?? task.batchSize
  return task.kind === 'http' ? Math.min(size, Math.max(1, Math.ceil(maxOriginRps / 100))) : size
}
