import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import { RELEASE, RENEW } from './lock-scripts.ts'
import type { Commands, Fence, HeldLock } from './types.ts'

interface WatchedLockOptions {
  name: string
  key: string
  /** What the lock's key holds while it is this holder's. */
  mark: string
  fence: Fence
  /** When it was asked for, by the monotonic clock. */
  sentNs: number
  ttlMs: number
  commands: Commands
  clock: Clock
}

/** A lock that is held, with its watchdog. */
export class WatchedLock implements HeldLock {
  readonly fence: Fence
  readonly #options: WatchedLockOptions
  readonly #controller = new AbortController()
  /** When the last renewal that succeeded was sent. */
  #renewedNs: number
  #takeBackRenewal: () => void = () => {}
  #takeBackEnd: () => void = () => {}
  #released: Promise<void> | undefined

  constructor(options: WatchedLockOptions) {
    this.fence = options.fence
    this.#options = options
    this.#renewedNs = options.sentNs
    this.#rearm()
    this.#renewIn(options.ttlMs / 3)
  }

  get lost(): AbortSignal {
    // A process that slept asks before its timers have run.
    if (this.#leftMs() <= 0) this.#lose('could not be renewed in time')
    return this.#controller.signal
  }

  release(): Promise<void> {
    this.#released ??= this.#release()
    return this.#released
  }

  async #release(): Promise<void> {
    this.#stop()
    const { commands, key, mark } = this.#options
    await commands.script(RELEASE, [key], [mark]).catch(() => {})
  }

  /** Until it counts as lost: a tenth of the TTL earlier than the server thinks, since clocks differ in speed. */
  #leftMs(): number {
    const { clock, ttlMs } = this.#options
    return ttlMs * 0.9 - (clock.nowNs() - this.#renewedNs) / 1e6
  }

  #rearm(): void {
    this.#takeBackEnd()
    this.#takeBackEnd = this.#options.clock.after(Math.ceil(this.#leftMs()), () => {
      if (this.#leftMs() <= 0) this.#lose('could not be renewed in time')
      else this.#rearm()
    })
  }

  #renewIn(ms: number): void {
    this.#takeBackRenewal = this.#options.clock.after(ms, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    if (this.lost.aborted) return
    const { commands, clock, key, mark, ttlMs } = this.#options
    const sentNs = clock.nowNs()
    let reply: unknown
    try {
      reply = await commands.script(RENEW, [key], [mark, ttlMs])
    } catch {
      // Another try soon, as long as there is time.
      if (!this.#isOver()) this.#renewIn(ttlMs / 15)
      return
    }
    if (this.#isOver()) return
    if (reply !== 1) return this.#lose('is not held any more: it expired, or was removed, and others may have it')
    this.#renewedNs = sentNs
    this.#rearm()
    this.#renewIn(ttlMs / 3)
  }

  #isOver(): boolean {
    return this.#released !== undefined || this.lost.aborted
  }

  #lose(why: string): void {
    if (this.#released !== undefined || this.#controller.signal.aborted) return
    this.#stop()
    this.#controller.abort(new PrewarmError('LOCK_LOST', `The lock '${this.#options.name}' ${why}`))
  }

  #stop(): void {
    this.#takeBackRenewal()
    this.#takeBackEnd()
  }
}
