import type { Config } from '../config/load.ts'
import type { ControlSettings } from '../config/service-settings.ts'
import { type Failure, PrewarmError, toFailure } from '../errors.ts'
import type { WarmerFacade, WarmerStatus } from '../facade.ts'
import type { Listening } from '../runtime/types.ts'
import type { Gate } from './gate.ts'

/** What a reload came to. The old configuration stays where the new one is wrong. */
export type Reloaded =
  /** `restart`: settings that only a restart changes. */
  { ok: true; restart: string[] } | { ok: false; failure: Failure }

/** What a stop came to. */
export interface Stopped {
  /** No job and no request was cut off. */
  clean: boolean
  /** Jobs that had not ended when the deadline came. */
  cutJobs: number
}

export interface ServiceParts {
  warmer: WarmerFacade
  gate: Gate
  listening: Listening
  /** Ends the event streams. */
  endStreams: () => void
  /** What running jobs are left to end by themselves, ms. */
  drainMs: number
  /** The configuration as it is written now. */
  readConfig: () => Promise<Config>
  /** How long a reload waits for the first worker that goes by the new one, ms. @default 10_000 */
  newWorkerMs?: number
}

/** Beyond the drain: what is left to end workers, connections and embedded servers. Together below 5 s. */
const STOP_MS = 4000
const POLL_MS = 50
const NEW_WORKER_MS = 10_000
/** A configuration file may wait for something at its top level. */
const READ_TIMEOUT_MS = 30_000

/** A warmer that is served: how it takes another configuration over, and how it ends. */
export class Service {
  readonly warmer: WarmerFacade
  readonly url: string
  readonly #parts: ServiceParts
  /** What the routes and their guards were built from. */
  readonly #control: ControlSettings
  #reloading: Promise<unknown> = Promise.resolve()
  #stopping: Promise<Stopped> | undefined

  constructor(parts: ServiceParts) {
    this.warmer = parts.warmer
    this.url = parts.listening.url
    this.#parts = parts
    this.#control = parts.warmer.config.settings.control
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  /** Reads the configuration again and takes it over; one after the other. Never rejects. */
  reload(): Promise<Reloaded> {
    const next = this.#reloading.then(() => this.#reload())
    this.#reloading = next
    return next
  }

  /**
   * Ends: no new request, no new run of a schedule; jobs that run have `drainMs` to end; then everything is cut off.
   * Bounded by `drainMs` + 5 s, whatever Redis does. Safe to call twice.
   */
  stop(): Promise<Stopped> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #reload(): Promise<Reloaded> {
    try {
      if (this.isStopping) throw new PrewarmError('STOPPED', 'prewarm is ending')
      const config = await within(READ_TIMEOUT_MS, 'Reading the configuration', this.#parts.readConfig())
      const before = new Set(this.warmer.status().workers.map(({ id }) => id))
      const others = (await this.warmer.reload(config)).filter((name) => name !== 'control')
      await this.#newWorker(before)
      return { ok: true, restart: [...others, ...controlChanges(this.#control, config.settings.control)] }
    } catch (error) {
      return { ok: false, failure: toFailure(error) }
    }
  }

  /** Until a new worker is ready the old ones go on, by the old configuration. */
  async #newWorker(before: ReadonlySet<string>): Promise<void> {
    const end = performance.now() + (this.#parts.newWorkerMs ?? NEW_WORKER_MS)
    const isThere = () => this.warmer.status().workers.some(({ id, state }) => !before.has(id) && state !== 'starting')
    while (!this.isStopping && !isThere() && performance.now() < end) await sleep(POLL_MS)
  }

  async #stop(): Promise<Stopped> {
    const { warmer, gate, listening, endStreams, drainMs } = this.#parts
    const deadline = performance.now() + drainMs
    gate.close()
    endStreams()
    const schedules = warmer.schedules.stop().catch(() => {})
    // What a stop by hand holds would not end: the next start takes it up.
    const isHeld = ({ emergency }: WarmerStatus) => emergency.state === 'stopped' && emergency.by === 'hand'
    const isBusy = () => {
      const status = warmer.status()
      return (status.activeJobs > 0 && !isHeld(status)) || gate.inFlight > 0
    }
    while (isBusy() && performance.now() < deadline) await sleep(POLL_MS)
    const cutJobs = warmer.status().activeJobs
    const clean = !isBusy()
    await settled(STOP_MS, [schedules, warmer.stop(), listening.stop(clean ? 500 : 0)])
    return { clean, cutJobs }
  }
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Settings of the HTTP API that differ, by name: its routes and guards are built once. */
function controlChanges(before: ControlSettings, after: ControlSettings): string[] {
  const names = Object.keys(after) as (keyof ControlSettings)[]
  return names
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => `control.${name}`)
}

/** Resolves when all have ended, well or not, or after `timeoutMs`. */
async function settled(timeoutMs: number, work: Promise<unknown>[]): Promise<void> {
  await within(timeoutMs, 'Stopping', Promise.allSettled(work)).catch(() => {})
}

function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = () => reject(new PrewarmError('CONFIG_INVALID', `${what} took longer than ${timeoutMs} ms`))
  const timer = setTimeout(late, timeoutMs)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}
