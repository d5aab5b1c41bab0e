import type { Redis, RedisOptions } from 'ioredis'
import type { Clock } from '../clock.ts'
import { whenSelected } from '../store/database.ts'
import { isReply, refusedCall, unreachable } from '../store/redis-errors.ts'
import type { Script } from './types.ts'

export interface ConnectionOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** Node TLS options beyond what the URL says. */
  tls?: object | undefined
  clock: Clock
  /** Bound on each call, ms; a connection that does not answer in that time is dropped. */
  timeoutMs: number
  /** What the server calls it. */
  name: string
  /** RESP version; with 3 the client falls back to 2 where the server is older. @default 3 */
  protocol?: 2 | 3
  /** Whether calls wait for one attempt to connect again after a connection was lost; else they fail at once. */
  waitsForAnother: boolean
  /** SHA-1 as hex digits. */
  sha1: (text: string) => string
}

/** Makes the client; it may not connect by itself. */
export type NewClient = (options: Omit<RedisOptions, 'replyMapping'>) => Redis

/**
 * One connection to one Redis, and who waits for it. Connects with the first call (or `open`), and again whenever it is lost.
 * Nothing is queued while it is, and nothing is sent twice. Each call is bounded.
 */
export class Connection {
  readonly redis: Redis
  readonly #options: ConnectionOptions
  readonly #shas = new WeakMap<Script, string>()
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  #wasReady = false
  /** It is connected, and to the database that the URL names. */
  #isReady = false
  #lastError: unknown
  /** Why the last attempt to connect failed. */
  #failure: unknown
  readonly #onReady: (() => void)[] = []
  #isClosed = false
  #stopGreeting = () => {}

  constructor(newClient: NewClient, options: ConnectionOptions) {
    const { tls, name, protocol, clock, timeoutMs, waitsForAnother } = options
    this.#options = options
    this.redis = newClient({
      lazyConnect: true,
      connectionName: name,
      connectTimeout: 5000,
      // Its socket is dropped at once in any case; the timer would keep the process for 2 s where there is none.
      disconnectTimeout: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => (this.#isClosed ? null : Math.min(50 * 2 ** Math.min(times, 5), 1000)),
      ...(protocol === undefined ? {} : { protocol }),
      ...(tls === undefined ? {} : { tls }),
    })
    this.redis.on('error', (error) => {
      this.#lastError = error
    })
    this.redis.on('connect', () => {
      // A server that takes the connection and then says nothing: no call would ever cut it.
      if (!waitsForAnother) this.#stopGreeting = clock.after(timeoutMs, () => this.cut())
    })
    whenSelected(this.redis, options.url, {
      begin: () => this.#begin(),
      refuse: (error) => {
        this.#lastError = error
        this.cut()
      },
    })
    this.redis.on('close', () => {
      this.#stopGreeting()
      this.#isReady = false
      if (!this.#wasReady || !waitsForAnother) this.#fail(this.#lastError ?? new Error('the connection was closed'))
      this.#wasReady = false
      this.#lastError = undefined
    })
  }

  /** Calls `listener` whenever it has been connected, and before those who wait for it. */
  onReady(listener: () => void): void {
    this.#onReady.push(listener)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Resolves when it is connected; rejects when an attempt has failed. */
  ready(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.isReady) return Promise.resolve()
    this.open()
    return new Promise((resolve, reject) => void this.#waiting.add({ resolve, reject }))
  }

  /** Begins to connect. */
  open(): void {
    if (this.redis.status === 'wait' || this.redis.status === 'end') this.redis.connect().catch(() => {})
  }

  /**
   * One bounded call. @param name what errors call it
   *
   * @throws {PrewarmError} `STORE_UNREACHABLE`, `STORE_REFUSED`
   */
  run<T>(name: string, work: (redis: Redis) => Promise<T>): Promise<T> {
    const { url, clock, timeoutMs } = this.#options
    return new Promise((resolve, reject) => {
      let isLate = false
      const fail = (error: unknown) => {
        if (error instanceof Error && isReply(error)) reject(refusedCall(name, error.message))
        else reject(unreachable(error, url))
      }
      const takeBack = clock.after(timeoutMs, () => {
        isLate = true
        fail(new Error(`${name} was not answered within ${timeoutMs} ms`))
        // What was not sent yet must not be carried out after the caller has given up.
        this.cut()
      })
      const sent = this.ready().then(
        () => (isLate ? undefined : work(this.redis).then(resolve, fail)),
        // Whatever kept it from connecting, be it a reply: a wrong password, say.
        (error) => reject(unreachable(error, url)),
      )
      void sent.finally(takeBack)
    })
  }

  /** A script (EVALSHA, loaded when the server does not know it). @throws as `run` */
  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const sha = this.#shas.get(script) ?? this.#options.sha1(script.text)
    this.#shas.set(script, sha)
    return this.run('a script', async (redis) => {
      try {
        return await redis.call('EVALSHA', [sha, keys.length, ...keys, ...args])
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        return await redis.call('EVAL', [script.text, keys.length, ...keys, ...args])
      }
    })
  }

  /** Drops the socket at once, with what it has not sent yet. */
  cut(): void {
    ;(this.redis as unknown as { stream?: { destroy(): void } }).stream?.destroy()
  }

  /** For good. What waits fails. */
  close(): void {
    this.#isClosed = true
    this.#stopGreeting()
    this.redis.disconnect()
    this.cut()
    this.#fail(new Error('it was closed'))
  }

  #begin(): void {
    this.#stopGreeting()
    this.#wasReady = true
    this.#isReady = true
    this.#failure = undefined
    for (const listener of this.#onReady) listener()
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #fail(error: unknown): void {
    this.#failure = error
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}
