import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { isReply, refusedCall, unreachable } from '../store/redis-errors.ts'
import type { Commands, Script } from './types.ts'

export interface RedisCommandsOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** Node TLS options beyond what the URL says. */
  tls?: object | undefined
  clock: Clock
  /** Bound on each call, ms; a connection that does not answer in that time is dropped. @default 2000 */
  timeoutMs?: number
  /** Told what a subscriber threw: its mistake is not the connection's. */
  onError?: (error: unknown) => void
}

type Listener = { hear: (message: string) => void }

/**
 * {@linkcode Commands} on one Redis (or Valkey, 6.2 or later). Connects with the first call, and again whenever the
 * connection is lost; while Redis can't be reached, calls fail at once. Nothing is sent twice: a call that failed with
 * `STORE_UNREACHABLE` may have been carried out all the same.
 */
export class RedisCommands implements Commands {
  readonly #options: RedisCommandsOptions
  readonly #timeoutMs: number
  readonly #main: Link
  readonly #channels = new Map<string, Set<Listener>>()
  readonly #shas = new WeakMap<Script, string>()
  /** A connection that listens may do little else (with RESP2), so it is one of its own. */
  #ear: Link | undefined
  #isClosed = false

  constructor(options: RedisCommandsOptions) {
    this.#options = options
    this.#timeoutMs = options.timeoutMs ?? 2000
    this.#main = new Link(options, 'prewarm-control')
  }

  call(name: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#bounded(name, this.#main, (redis) => redis.call(name, args))
  }

  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const sha = this.#shas.get(script) ?? createHash('sha1').update(script.text).digest('hex')
    this.#shas.set(script, sha)
    return this.#bounded('a script', this.#main, async (redis) => {
      try {
        return await redis.call('EVALSHA', [sha, keys.length, ...keys, ...args])
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        return await redis.call('EVAL', [script.text, keys.length, ...keys, ...args])
      }
    })
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const entry = { hear: listener }
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners.add(entry))
    this.#ear ??= this.#listening()
    try {
      await this.#bounded('SUBSCRIBE', this.#ear, (redis) => redis.subscribe(channel))
    } catch (error) {
      this.#forget(channel, entry)
      throw error
    }
    return async () => {
      if (!this.#forget(channel, entry) || this.#ear === undefined || this.#isClosed) return
      await this.#bounded('UNSUBSCRIBE', this.#ear, (redis) => redis.unsubscribe(channel)).catch(() => {})
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#channels.clear()
    this.#main.close()
    this.#ear?.close()
  }

  #listening(): Link {
    const link = new Link(this.#options, 'prewarm-events')
    link.redis.on('message', (channel, message) => {
      for (const { hear } of [...(this.#channels.get(channel) ?? [])]) {
        try {
          hear(message)
        } catch (error) {
          this.#options.onError?.(error)
        }
      }
    })
    link.redis.on('ready', () => {
      // Without its channels a new connection would be deaf for ever.
      for (const channel of this.#channels.keys()) link.redis.subscribe(channel).catch(() => link.cut())
    })
    return link
  }

  /** True if nobody listens to the channel any more. */
  #forget(channel: string, entry: Listener): boolean {
    const listeners = this.#channels.get(channel)
    if (!listeners?.delete(entry) || listeners.size > 0) return false
    return this.#channels.delete(channel)
  }

  #bounded<T>(name: string, link: Link, work: (redis: Redis) => Promise<T>): Promise<T> {
    const { url, clock } = this.#options
    return new Promise((resolve, reject) => {
      let isLate = false
      const fail = (error: unknown) => {
        if (error instanceof Error && isReply(error)) reject(refusedCall(name, error.message))
        else reject(unreachable(error, url))
      }
      const takeBack = clock.after(this.#timeoutMs, () => {
        isLate = true
        fail(new Error(`${name} was not answered within ${this.#timeoutMs} ms`))
        // What was not sent yet must not be carried out after the caller has given up.
        link.cut()
      })
      const sent = link.ready().then(
        () => (isLate ? undefined : work(link.redis).then(resolve, fail)),
        // Whatever kept it from connecting, be it a reply: a wrong password, say.
        (error) => reject(unreachable(error, url)),
      )
      void sent.finally(takeBack)
    })
  }
}

/** One connection, and who waits for it. */
class Link {
  readonly redis: Redis
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  #wasReady = false
  #lastError: unknown
  /** Why the last attempt to connect failed. */
  #failure: unknown
  #isClosed = false

  constructor({ url, tls }: RedisCommandsOptions, connectionName: string) {
    this.redis = new Redis(url, {
      lazyConnect: true,
      connectionName,
      connectTimeout: 5000,
      // Its socket is dropped at once in any case; the timer would keep the process for 2 s where there is none.
      disconnectTimeout: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => (this.#isClosed ? null : Math.min(50 * 2 ** Math.min(times, 5), 1000)),
      ...(tls === undefined ? {} : { tls }),
    })
    this.redis.on('error', (error) => {
      this.#lastError = error
    })
    this.redis.on('ready', () => {
      this.#wasReady = true
      this.#failure = undefined
      for (const { resolve } of this.#waiting) resolve()
      this.#waiting.clear()
    })
    this.redis.on('close', () => {
      // A connection that was lost is tried once more before anybody is told.
      if (!this.#wasReady) this.#fail(this.#lastError ?? new Error('the connection was closed'))
      this.#wasReady = false
    })
  }

  /** Resolves when it is connected; rejects when an attempt has failed. */
  ready(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.redis.status === 'ready') return Promise.resolve()
    if (this.redis.status === 'wait' || this.redis.status === 'end') this.redis.connect().catch(() => {})
    return new Promise((resolve, reject) => void this.#waiting.add({ resolve, reject }))
  }

  /** Drops the socket at once, with what it has not sent yet. */
  cut(): void {
    ;(this.redis as unknown as { stream?: { destroy(): void } }).stream?.destroy()
  }

  close(): void {
    this.#isClosed = true
    this.redis.disconnect()
    this.cut()
    this.#fail(new Error('it was closed'))
  }

  #fail(error: unknown): void {
    this.#failure = error
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}
