import { getLogger } from '@logtape/logtape'
import type { Config } from '../config/load.ts'
import type { ScheduleRecord, ScheduleSpec } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import type { EventOf } from '../events/types.ts'
import type { Schedules, ScheduleView } from '../facade.ts'
import type { JobHandle } from '../job/job.ts'
import { traceIdOf } from '../job/trace.ts'
import { checkedSpec } from './check.ts'
import { type Entry, KnownSchedules } from './known.ts'
import { ScheduleLoop } from './loop.ts'
import { type RunParts, storable } from './run.ts'

const log = getLogger(['prewarm'])

/** Schedules that were registered while running. */
const MAX_CUSTOM = 200

export interface SchedulerOptions extends Omit<RunParts, 'isStopped'> {
  /** Asked again and again: a configuration that was taken over counts within 30 s. */
  config: () => Config
  /** For the jitter: from 0 to below 1. */
  random: () => number
}

/** Keeps the schedules. A run begins under its lock or not at all, and a due time is run once over all instances. */
export class Scheduler implements Schedules {
  readonly #options: SchedulerOptions
  readonly #known: KnownSchedules
  readonly #loop: ScheduleLoop
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#known = new KnownSchedules(options)
    this.#loop = new ScheduleLoop({ ...options, known: this.#known })
  }

  /** Safe to call twice. @throws {PrewarmError} `STOPPED` after `stop` */
  start(): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(stopped())
    this.#started ??= this.#loop.start()
    return this.#started
  }

  /** Safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#loop.stop()
    return this.#stopped
  }

  /** Resolves when every run that was begun is noted and its lock is released: after their jobs, and before Redis is left. */
  settled(): Promise<void> {
    return this.#loop.settled()
  }

  /** By name. Where the store is away: as last known. */
  async list(): Promise<ScheduleView[]> {
    try {
      await this.#known.read()
      this.#loop.arm()
    } catch (error) {
      log.warn('the schedules could not be read: {error}', { error })
      this.#known.refresh()
    }
    const views = [...this.#known.entries.values()].map((entry) => this.#view(entry))
    return views.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** @throws {PrewarmError} `REQUEST_INVALID`, `CONFLICT`, `STORE_UNREACHABLE` */
  async add(
    name: string,
    given: Partial<ScheduleSpec>,
    { replace = false }: { replace?: boolean } = {},
  ): Promise<ScheduleView> {
    const { config, clock, store } = this.#options
    const spec = checkedSpec(name, given, config().tasks, clock.nowMs())
    await this.#known.read()
    const before = this.#known.entries.get(name)?.record
    if (replace && before?.origin === 'custom') {
      const record: ScheduleRecord = { ...before, spec }
      await store.save(record)
      const entry = this.#known.put(record)
      this.#changed(name, 'added')
      return this.#view(entry)
    }
    if (before !== undefined) {
      throw new PrewarmError('CONFLICT', `There is a schedule '${name}' already: remove it first, or take another name`)
    }
    if (this.#known.customs >= MAX_CUSTOM) {
      throw new PrewarmError(
        'REQUEST_INVALID',
        `name is '${name}', expected at most ${MAX_CUSTOM} schedules: remove one`,
      )
    }
    const never = { paused: false, lastRunAt: null, lastStatus: null, lastJobId: null }
    const record: ScheduleRecord = { name, spec, origin: 'custom', ...never }
    await store.save(record)
    const entry = this.#known.put(record)
    this.#changed(name, 'added')
    return this.#view(entry)
  }

  /** A job that it began goes on. @throws {PrewarmError} `NOT_FOUND`, `CONFLICT`, `STORE_UNREACHABLE` */
  async remove(name: string): Promise<void> {
    await this.#known.read()
    if (this.#find(name).record.origin === 'config') {
      throw new PrewarmError(
        'CONFLICT',
        `The configuration declares the schedule '${name}': pause it, or remove it there`,
      )
    }
    await this.#options.store.remove(name)
    this.#known.drop(name)
    this.#changed(name, 'removed')
  }

  /** @throws {PrewarmError} `NOT_FOUND`, `STORE_UNREACHABLE` */
  pause(name: string): Promise<ScheduleView> {
    return this.#setPaused(name, true)
  }

  /** @throws {PrewarmError} `NOT_FOUND`, `STORE_UNREACHABLE` */
  resume(name: string): Promise<ScheduleView> {
    return this.#setPaused(name, false)
  }

  /**
   * Also one that is paused.
   *
   * @throws {PrewarmError} `NOT_FOUND`; `CONFLICT` if it runs already; `KEYS_UNMATCHED` if it warms predicted keys only, and
   *   none are predicted; `STOPPED`; `STORE_UNREACHABLE`; what `submit` throws
   */
  async runNow(name: string, traceId?: string): Promise<JobHandle> {
    const trace = traceIdOf(traceId)
    if (this.#stopped !== undefined) throw stopped()
    this.#known.refresh()
    if (!this.#known.entries.has(name)) await this.#known.read()
    const entry = this.#find(name)
    if (entry.running) throw new PrewarmError('CONFLICT', `The schedule '${name}' runs already`)
    const begun = await this.#loop.begin(entry, { by: 'hand' }, trace)
    switch (begun.is) {
      case 'running':
        if (begun.job !== null) return begun.job
        throw new PrewarmError('KEYS_UNMATCHED', `The schedule '${name}' has nothing to warm: no key is predicted`)
      case 'locked':
        throw new PrewarmError('CONFLICT', `The schedule '${name}' runs already: ${begun.holder} holds its lock`)
      case 'stopped':
        throw stopped()
      default:
        this.#known.drop(name)
        throw notFound(name)
    }
  }

  async #setPaused(name: string, paused: boolean): Promise<ScheduleView> {
    await this.#known.read()
    const entry = this.#find(name)
    if (entry.record.paused === paused) return this.#view(entry)
    const record = { ...entry.record, paused }
    await this.#options.store.save(storable(record))
    const changed = this.#known.put(record)
    this.#changed(name, paused ? 'paused' : 'resumed')
    return this.#view(changed)
  }

  #find(name: string): Entry {
    const entry = this.#known.entries.get(name)
    if (entry === undefined) throw notFound(name)
    return entry
  }

  #changed(schedule: string, change: EventOf<'schedule_changed'>['change']): void {
    this.#options.events.emit({ type: 'schedule_changed', schedule, change })
    this.#loop.arm()
  }

  #view({ record, table, running }: Entry): ScheduleView {
    const nextMs = record.paused ? null : (table?.next(this.#options.clock.nowMs()) ?? null)
    return { ...record, nextRunAt: nextMs === null ? null : new Date(nextMs).toISOString(), running }
  }
}

function stopped(): PrewarmError {
  return new PrewarmError('STOPPED', 'The schedules were stopped: create another warmer')
}

function notFound(name: string): PrewarmError {
  return new PrewarmError('NOT_FOUND', `There is no schedule '${name}': look at the list of schedules`)
}
