import { isLater } from './schedule-run.ts'
import type { ScheduleRecord, ScheduleStore } from './types.ts'

/** A {@linkcode ScheduleStore} for one process: what is registered while it runs ends with it. */
export class MemoryScheduleStore implements ScheduleStore {
  readonly #records = new Map<string, ScheduleRecord>()

  async load(): Promise<ScheduleRecord[]> {
    return structuredClone([...this.#records.values()])
  }

  async save(record: ScheduleRecord): Promise<void> {
    const held = this.#records.get(record.name)
    const kept = structuredClone(record)
    if (held !== undefined && isLater(held.lastRunAt, record.lastRunAt)) {
      const { lastRunAt, lastStatus, lastJobId } = held
      Object.assign(kept, { lastRunAt, lastStatus, lastJobId })
    }
    this.#records.set(record.name, kept)
  }

  async remove(name: string): Promise<boolean> {
    return this.#records.delete(name)
  }

  async noteRun(name: string, run: { at: string; status: string; jobId: string | null }): Promise<void> {
    const held = this.#records.get(name)
    if (held === undefined || isLater(held.lastRunAt, run.at)) return
    Object.assign(held, { lastRunAt: run.at, lastStatus: run.status, lastJobId: run.jobId })
  }
}
