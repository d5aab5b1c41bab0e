import type { CacheFacade, SetOutcome } from '../../cache/types.ts'
import type { Clock } from '../../clock.ts'
import { PrewarmError } from '../../define.ts'
import { type Failure, toFailure } from '../../errors.ts'
import type { CriticalTask } from './warmer.ts'

/** A critical task, and what became of it. */
export interface TaskDetails {
  key: string
  /** As it was registered; null: the cache's own. */
  ttl: number | string | null
  tags: string[]
  priority: number
  /** ISO 8601: when it was last computed and cached (or something newer was there already); null: never yet. */
  lastWarmedAt: string | null
  /** Of the last run; null: none yet. */
  lastDurationMs: number | null
  lastStatus: SetOutcome | 'no_value' | 'failed' | null
  /** Of the last run, if that failed. */
  lastError: Failure | null
  runs: number
  failures: number
}

interface Registered {
  task: CriticalTask
  details: TaskDetails
}

export interface CriticalTasksOptions {
  cache: Pick<CacheFacade, 'warm'>
  clock: Clock
  /** At once, at least 1. */
  concurrency: number
}

/** The tasks of a catalogue, the most important first. */
export class CriticalTasks {
  readonly #options: CriticalTasksOptions
  readonly #registered = new Map<string, Registered>()

  constructor(options: CriticalTasksOptions) {
    this.#options = options
  }

  /** @throws {PrewarmError} `USAGE` */
  add<T>(task: CriticalTask<T>): () => void {
    const { key, compute, ttl = null, tags = [], priority = 0 } = task
    if (typeof key !== 'string' || key === '') throw usage(`key is '${String(key)}', expected text`)
    if (typeof compute !== 'function') throw usage(`compute of '${key}' is ${typeof compute}, expected a function`)
    if (!Number.isFinite(priority)) throw usage(`priority of '${key}' is ${String(priority)}, expected a number`)
    if (this.#registered.has(key)) throw usage(`'${key}' is registered already: end that first, or use another key`)
    const nothing = { lastWarmedAt: null, lastDurationMs: null, lastStatus: null, lastError: null }
    const details: TaskDetails = { key, ttl, tags: [...tags], priority, ...nothing, runs: 0, failures: 0 }
    const registered = { task: task as CriticalTask, details }
    this.#registered.set(key, registered)
    return () => {
      if (this.#registered.get(key) === registered) this.#registered.delete(key)
    }
  }

  /** Copies, in the order in which they are warmed. */
  details(): TaskDetails[] {
    return this.#ranked().map(({ details }) => ({ ...details, tags: [...details.tags] }))
  }

  /** Warms each once. Never rejects: what fails stands in its details, and the others go on. None begins after `signal`. */
  async warmAll(signal: AbortSignal): Promise<void> {
    const left = this.#ranked()
    const work = async () => {
      for (let next = left.shift(); next !== undefined && !signal.aborted; next = left.shift())
        await this.#warm(next, signal)
    }
    await Promise.all(Array.from({ length: this.#options.concurrency }, work))
  }

  async #warm({ task, details }: Registered, signal: AbortSignal): Promise<void> {
    const { cache, clock } = this.#options
    const { key, compute, ttl, tags } = task
    const startNs = clock.nowNs()
    try {
      const outcome = await cache.warm(key, {
        load: (_, context) => compute(context),
        signal,
        ...(ttl === undefined ? {} : { ttl }),
        ...(tags === undefined ? {} : { tags }),
      })
      details.lastStatus = outcome
      details.lastError = null
      if (outcome !== 'no_value') details.lastWarmedAt = new Date(clock.nowMs()).toISOString()
    } catch (error) {
      // Being stopped is no failure of the task's.
      if (signal.aborted) return
      details.lastStatus = 'failed'
      details.lastError = toFailure(error, 'ORIGIN_FAILED')
      details.failures++
    }
    details.lastDurationMs = (clock.nowNs() - startNs) / 1e6
    details.runs++
  }

  #ranked(): Registered[] {
    return [...this.#registered.values()].sort((a, b) => b.details.priority - a.details.priority)
  }
}

function usage(message: string): PrewarmError {
  return new PrewarmError('USAGE', message)
}
