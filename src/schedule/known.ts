import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/load.ts'
import { isLater } from '../coordination/schedule-run.ts'
import type { ScheduleRecord, ScheduleSpec, ScheduleStore } from '../coordination/types.ts'
import { followingSpec } from '../optimize/specs.ts'
import { type Due, dueAfter } from './due.ts'
import { type Timetable, timetable } from './next-run.ts'
import { declaredSchedules, specWithDefaults } from './spec.ts'

const log = getLogger(['prewarm'])

/** A schedule, and where this instance is with it. The object stays the same while the schedule is known. */
export interface Entry {
  readonly name: string
  record: ScheduleRecord
  /** Null: what the store holds makes no sense here. */
  table: Timetable | null
  due: Due | null
  /** A due time for which the lock could not be asked for. */
  retry: { dueMs: number; atMs: number; untilMs: number } | null
  running: boolean
  /** Notes the last run, which the store could not be told of. */
  unnoted: (() => Promise<void>) | null
  /** Whether it was looked, once, if a run was missed before the start. */
  isCaughtUp: boolean
}

export interface KnownOptions {
  config: () => Config
  store: ScheduleStore
  clock: Clock
  random: () => number
}

/** The schedules that the configuration declares and those that the store holds, as far as it could be read. */
export class KnownSchedules {
  readonly entries = new Map<string, Entry>()
  readonly #options: KnownOptions
  #config: Config | undefined
  #declared = new Map<string, ScheduleSpec>()
  #stored: ScheduleRecord[] = []
  #changes = 0

  constructor(options: KnownOptions) {
    this.#options = options
  }

  isDeclared(name: string): boolean {
    return this.#declared.has(name)
  }

  get customs(): number {
    return [...this.entries.values()].filter(({ record }) => record.origin === 'custom').length
  }

  /** Takes a changed configuration over. */
  refresh(): void {
    const config = this.#options.config()
    if (config === this.#config) return
    this.#config = config
    this.#declared = declaredSchedules(config)
    this.#merge()
  }

  /** Reads the store, and tells it what it could not be told. @throws {PrewarmError} `STORE_*`; then what was known stays */
  async read(): Promise<void> {
    for (const entry of this.entries.values()) {
      const { unnoted } = entry
      await unnoted?.()
      if (entry.unnoted === unnoted) entry.unnoted = null
    }
    const change = this.#changes
    const stored = await this.#options.store.load()
    // Something was added or removed while it was read: it may be too old.
    if (change !== this.#changes) return this.read()
    this.refresh()
    this.#take(stored)
  }

  put(record: ScheduleRecord): Entry {
    this.#take([...this.#stored.filter(({ name }) => name !== record.name), record])
    return this.entries.get(record.name) as Entry
  }

  drop(name: string): void {
    this.#take(this.#stored.filter((record) => record.name !== name))
  }

  /** The wall clock was set back: due times that lie before those that are waited for come again. */
  rewind(nowMs: number): void {
    for (const entry of this.entries.values()) {
      const nextMs = entry.table?.next(nowMs) ?? null
      if (nextMs !== null && (entry.due === null || nextMs < entry.due.dueMs)) this.#plan(entry)
    }
  }

  #take(stored: ScheduleRecord[]): void {
    this.#stored = stored
    this.#changes++
    this.#merge()
  }

  #merge(): void {
    const records = new Map<string, ScheduleRecord>()
    // One that the configuration no longer declares is none, though its last run is remembered.
    for (const record of this.#stored) {
      if (record.origin !== 'custom') continue
      if (typeof record.spec !== 'object' || record.spec === null) log.warn('a stored schedule is broken', { record })
      else records.set(record.name, { ...record, spec: specWithDefaults(record.spec) })
    }
    for (const [name, spec] of this.#declared) {
      const stored = this.#stored.find((record) => record.name === name)
      const state = stored ?? { paused: false, lastRunAt: null, lastStatus: null, lastJobId: null }
      records.set(name, { ...state, name, spec, origin: 'config' })
    }
    const all = [...records.values()]
    for (const one of all) {
      if (one.origin !== 'custom') continue
      const { tasks } = this.#options.config()
      records.set(one.name, { ...one, spec: followingSpec(one.name, one.spec, all, tasks) })
    }
    for (const name of this.entries.keys()) if (!records.has(name)) this.entries.delete(name)
    for (const record of records.values()) this.#update(record)
  }

  #update(record: ScheduleRecord): void {
    const { name } = record
    const entry = this.entries.get(name)
    if (entry === undefined) {
      const none = { table: null, due: null, retry: null, unnoted: null }
      const fresh: Entry = { name, record, ...none, running: false, isCaughtUp: false }
      this.entries.set(name, fresh)
      this.#schedule(fresh)
      return
    }
    const before = entry.record
    entry.record = record
    if (entry.unnoted !== null && isLater(before.lastRunAt, record.lastRunAt)) {
      const { lastRunAt, lastStatus, lastJobId } = before
      entry.record = { ...record, lastRunAt, lastStatus, lastJobId }
    }
    if (!sameTiming(before.spec, record.spec)) this.#schedule(entry)
  }

  #schedule(entry: Entry): void {
    try {
      entry.table = timetable(entry.record.spec)
    } catch (error) {
      entry.table = null
      log.warn('schedule {schedule} never runs: {error}', { schedule: entry.name, error })
    }
    entry.retry = null
    this.#plan(entry)
  }

  #plan(entry: Entry): void {
    const { clock, random } = this.#options
    const { table, record } = entry
    entry.due = table === null ? null : dueAfter(table, clock.nowMs(), record.spec.jitterMs, random)
  }
}

function sameTiming(a: ScheduleSpec, b: ScheduleSpec): boolean {
  return a.cron === b.cron && a.intervalMs === b.intervalMs && a.timeZone === b.timeZone && a.jitterMs === b.jitterMs
}
