import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import { ACQUIRE, RELEASE } from './lock-scripts.ts'
import type { Commands, LockAttempt, Locks } from './types.ts'
import { WatchedLock } from './watched-lock.ts'

export interface RedisLocksOptions {
  commands: Commands
  clock: Clock
  /** A holder that is not heard of for so long has lost its lock, ms. 100 to 86_400_000. @default 30_000 */
  ttlMs?: number
  /** The lock 'warmup' has this key, which ends in ':lock'; others have theirs below it. @default 'cache:warmup:lock' */
  prefix?: string
}

const MAX_HOLDER = 200

/**
 * {@linkcode Locks} in one Redis: `SET NX PX` with the holder's mark, renewed every third of the TTL, released by
 * compare-and-delete. Each holder gets a larger fence number than all before it. That the server forgets a lock
 * (restarted without persistence, emptied, evicted) is possible; its holder then learns of it with the next renewal.
 */
export class RedisLocks implements Locks {
  readonly #commands: Commands
  readonly #clock: Clock
  readonly #ttlMs: number
  readonly #prefix: string

  constructor({ commands, clock, ttlMs = 30_000, prefix = 'cache:warmup:lock' }: RedisLocksOptions) {
    if (!(ttlMs >= 100 && ttlMs <= 86_400_000))
      throw new RangeError(`Cannot create RedisLocks: ttlMs must be 100 to 86400000, current value is ${ttlMs}`)
    if (!prefix.endsWith(':lock'))
      throw new RangeError(`Cannot create RedisLocks: prefix must end in ':lock', current value is '${prefix}'`)
    this.#commands = commands
    this.#clock = clock
    this.#ttlMs = Math.round(ttlMs)
    this.#prefix = prefix
  }

  async acquire(name: string, holder: string): Promise<LockAttempt> {
    const keys = this.#keysOf(name)
    const mark = `${holder.slice(0, MAX_HOLDER)}:${crypto.randomUUID()}`
    // Before it is sent: the server counts the TTL from later on.
    const sentNs = this.#clock.nowNs()
    let reply: [number, number | string, number]
    try {
      reply = (await this.#commands.script(ACQUIRE, keys, [mark, this.#ttlMs])) as typeof reply
    } catch (error) {
      // It may have been carried out all the same: nobody should wait for a holder who does not know.
      void this.#commands.script(RELEASE, [keys[0]], [mark]).catch(() => {})
      throw error
    }
    const [isHeld, token, leftMs] = reply
    if (isHeld !== 1) {
      return { held: false, holder: String(token).replace(/:[^:]*$/, ''), leftMs: Math.max(0, Number(leftMs)) }
    }
    const fence = { key: keys[1], token: Number(token) }
    const parts = { commands: this.#commands, clock: this.#clock, ttlMs: this.#ttlMs }
    return { held: true, lock: new WatchedLock({ name, key: keys[0], mark, fence, sentNs, ...parts }) }
  }

  #keysOf(name: string): [lock: string, fence: string] {
    if (!/^[\w:-]{1,128}$/.test(name)) {
      const shown = name.slice(0, 140)
      throw new PrewarmError('USAGE', `name is '${shown}', expected 1 to 128 letters, digits, '_', '-' or ':'`)
    }
    const fence = `${this.#prefix.replace(/:lock$/, '')}:fence`
    return name === 'warmup' ? [this.#prefix, fence] : [`${this.#prefix}:${name}`, `${fence}:${name}`]
  }
}
