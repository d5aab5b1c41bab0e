import { MemoryScheduleStore } from '../../src/coordination/memory-schedule-store.ts'
import type { ScheduleRecord, ScheduleStore } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'

/** A {@linkcode ScheduleStore} in memory that can be down. Schedulers that share one are as instances on one Redis. */
export class FakeScheduleStore implements ScheduleStore {
  readonly #store = new MemoryScheduleStore()
  isDown = false
  /** Every run that was noted, in order. */
  readonly runs: { name: string; at: string; status: string; jobId: string | null }[] = []

  async load(): Promise<ScheduleRecord[]> {
    this.#check()
    return this.#store.load()
  }

  async save(record: ScheduleRecord): Promise<void> {
    this.#check()
    await this.#store.save(record)
  }

  async remove(name: string): Promise<boolean> {
    this.#check()
    return this.#store.remove(name)
  }

  async noteRun(name: string, run: { at: string; status: string; jobId: string | null }): Promise<void> {
    this.#check()
    this.runs.push({ name, ...run })
    await this.#store.noteRun(name, run)
  }

  #check(): void {
    if (this.isDown) throw new PrewarmError('STORE_UNREACHABLE', 'Cannot reach Redis at redis://fake: it is down')
  }
}
