import { MemoryJobLog } from '../../src/coordination/memory-job-log.ts'
import type { JobLog, JobRecord } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

/** A {@linkcode JobLog} in memory that can be down, and that has jobs to adopt. */
export class FakeJobLog implements JobLog {
  readonly #log = new MemoryJobLog()
  isDown = false
  /** What the next `adopt` gives. */
  orphans: JobRecord[] = []

  async begin(record: JobRecord): Promise<void> {
    if (!this.isDown) await this.#log.begin(record)
  }

  async end(record: JobRecord): Promise<void> {
    if (!this.isDown) await this.#log.end(record)
  }

  async list(): Promise<JobRecord[]> {
    this.#check()
    return this.#log.list()
  }

  async get(id: string): Promise<JobRecord | null> {
    this.#check()
    return this.#log.get(id)
  }

  async adopt(): Promise<JobRecord[]> {
    this.#check()
    return this.orphans.splice(0)
  }

  #check(): void {
    if (this.isDown) throw new PrewarmError('STORE_UNREACHABLE', 'Cannot reach Redis at redis://fake: it is down')
  }
}
