import { getLogger } from '@logtape/logtape'
import type { Clock } from '../clock.ts'
import type { Settings } from '../config/settings.ts'
import type { HeldLock, Locks } from '../coordination/types.ts'
import { isPrewarmError } from '../errors.ts'
import type { Snapshots } from './snapshots.ts'
import { isRedisTarget } from './target.ts'

const log = getLogger(['prewarm'])

export interface KeeperOptions {
  snapshots: Pick<Snapshots, 'save' | 'load' | 'readHeader'>
  /** As they are now. */
  settings: () => Settings['snapshot']
  locks: Locks
  /** Who holds the locks. */
  instance: string
  clock: Clock
}

/** How often it is looked whether a configuration that was read again has a snapshot now, ms. */
const LOOK_MS = 60_000
/** What the last save may take, ms: the end of a service is bounded. */
const LAST_MS = 1500

/**
 * A service's snapshot: loaded at its start (`snapshot.load`), saved every `snapshot.every` and at its end. Of several
 * instances one saves to a key in Redis, and one loads. Never throws: what fails is logged, and the old list stays.
 */
export class SnapshotKeeper {
  readonly #options: KeeperOptions
  readonly #ending = new AbortController()
  #saving: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | undefined

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** Begins; a load goes on in the background. */
  start(): void {
    const { settings } = this.#options
    if (settings()?.load === true) void this.#load()
    this.#saving = this.#saveAgain()
  }

  /** Ends the load, and saves for the last time, within 1.5 s. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { settings, clock } = this.#options
    this.#ending.abort()
    const late = new AbortController()
    const last = async () => {
      await this.#saving
      if (settings() === undefined) return
      await this.#save(late.signal, false)
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const takeBack = clock.after(LAST_MS, () => {
      log.warn('the snapshot was not saved at the end: it took longer than {ms} ms', { ms: LAST_MS })
      late.abort()
      resolve()
    })
    await Promise.race([last(), promise])
    takeBack()
  }

  async #saveAgain(): Promise<void> {
    const { settings, clock } = this.#options
    const { signal } = this.#ending
    for (;;) {
      await clock.sleep(settings()?.everyMs ?? LOOK_MS, signal)
      if (signal.aborted) return
      if (settings() !== undefined) await this.#save(signal, true)
    }
  }

  /** @param ifOld not where another instance has just done so */
  async #save(signal: AbortSignal, ifOld: boolean): Promise<void> {
    const { snapshots, settings } = this.#options
    const { to = '', everyMs = 0 } = settings() ?? {}
    await this.#under(
      isRedisTarget(to) ? `snapshot:save:${to.slice(6).replaceAll('.', '-')}` : null,
      'saved',
      async (lost) => {
        const ageMs = ifOld ? await this.#ageMs() : Number.POSITIVE_INFINITY
        // Below 0 a clock was ahead.
        if (ageMs >= 0 && ageMs < everyMs / 2) return
        const outcome = await snapshots.save({ signal: AbortSignal.any([signal, ...lost]) })
        if (outcome.saved) log.debug('snapshot {to} saved: {keys} keys', { ...outcome })
        else log.info('snapshot {to} stays as it is: {reason}', { ...outcome })
      },
    )
  }

  async #load(): Promise<void> {
    const { snapshots } = this.#options
    await this.#under('snapshot:load', 'loaded', async (lost, lock) => {
      const request = { source: 'startup' as const, ...(lock === undefined ? {} : { fence: lock.fence }) }
      const end = await snapshots.load({ signal: AbortSignal.any([this.#ending.signal, ...lost]), request })
      const text =
        'snapshot {from} loaded ({ended}): {loaded} of {keys} keys written, {present} were there, {left} left'
      log[end.ended === 'all' && end.failed === 0 ? 'info' : 'warn'](text, { ...end })
    })
  }

  async #under(
    lockName: string | null,
    done: 'saved' | 'loaded',
    work: (lost: AbortSignal[], lock: HeldLock | undefined) => Promise<void>,
  ): Promise<void> {
    const { locks, instance } = this.#options
    let lock: HeldLock | undefined
    try {
      const attempt = lockName === null ? undefined : await locks.acquire(lockName, instance)
      if (attempt?.held === false)
        return log.debug('the snapshot is not {done} here: {holder} does', { done, ...attempt })
      lock = attempt?.lock
      await work(lock === undefined ? [] : [lock.lost], lock)
    } catch (error) {
      const level = isPrewarmError(error) && ['NOT_FOUND', 'JOB_CANCELLED'].includes(error.code) ? 'info' : 'warn'
      log[level]('the snapshot was not {done}: {message}', { done, message: (error as Error).message })
    } finally {
      await lock?.release()
    }
  }

  async #ageMs(): Promise<number> {
    const { snapshots, clock } = this.#options
    const head = await snapshots.readHeader().catch(() => null)
    return head === null ? Number.POSITIVE_INFINITY : clock.nowMs() - head.savedAtMs
  }
}
