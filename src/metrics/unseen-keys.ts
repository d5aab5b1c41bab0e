import type { EventKeys } from '../events/types.ts'

/** Jobs that are watched at once; beyond that the oldest is forgotten. */
const MAX_JOBS = 1000

interface Watched {
  /** The job's only task; null if it has several. */
  task: string | null
  seen: Map<keyof EventKeys, number>
}

/**
 * Says which keys of a job no batch has told of: those that were given up before or between batches. Together with the
 * batches' own they make up the job's sums.
 */
export class UnseenKeys {
  readonly #jobs = new Map<string, Watched>()

  begin(jobId: string, tasks: readonly string[]): void {
    this.#jobs.set(jobId, { task: tasks.length === 1 ? (tasks[0] as string) : null, seen: new Map() })
    if (this.#jobs.size <= MAX_JOBS) return
    for (const oldest of this.#jobs.keys()) {
      this.#jobs.delete(oldest)
      return
    }
  }

  see(jobId: string, keys: EventKeys): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    for (const [name, count] of Object.entries(keys) as [keyof EventKeys, number][])
      job.seen.set(name, (job.seen.get(name) ?? 0) + count)
  }

  /** Ends a job. Null: it was not watched from its beginning, so nothing can be told. */
  end(jobId: string, keys: EventKeys): { task: string | null; keys: EventKeys } | null {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return null
    this.#jobs.delete(jobId)
    // A stream that began anew was seen more often than it counts.
    const left = (name: keyof EventKeys) => Math.max(0, keys[name] - (job.seen.get(name) ?? 0))
    return {
      task: job.task,
      keys: {
        planned: left('planned'),
        written: left('written'),
        skipped_present: left('skipped_present'),
        skipped_newer: left('skipped_newer'),
        failed: left('failed'),
        unknown: left('unknown'),
      },
    }
  }
}
