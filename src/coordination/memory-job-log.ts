import { bounded, hasEnded, REMEMBERED } from './job-record.ts'
import type { JobLog, JobRecord } from './types.ts'

/** A {@linkcode JobLog} for a program without a service: the last 200 jobs of this process. */
export class MemoryJobLog implements JobLog {
  /** By id, oldest first. */
  readonly #records = new Map<string, JobRecord>()

  async begin(record: JobRecord): Promise<void> {
    this.#keep(record)
  }

  async end(record: JobRecord): Promise<void> {
    this.#keep(record)
  }

  async list(): Promise<JobRecord[]> {
    return structuredClone([...this.#records.values()].reverse())
  }

  async get(id: string): Promise<JobRecord | null> {
    return structuredClone(this.#records.get(id) ?? null)
  }

  /** Nothing: a process that has ended has taken its jobs with it. */
  async adopt(): Promise<JobRecord[]> {
    return []
  }

  #keep(kept: JobRecord): void {
    this.#records.set(kept.id, JSON.parse(JSON.stringify(bounded(kept))))
    for (const isLast of [false, true]) {
      for (const [id, record] of this.#records) {
        if (this.#records.size <= REMEMBERED) return
        // Those that run are the last to be forgotten.
        if (id !== kept.id && (hasEnded(record) || isLast)) this.#records.delete(id)
      }
    }
  }
}
