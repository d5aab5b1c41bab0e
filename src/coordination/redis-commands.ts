import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { Connection } from './connection.ts'
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
  readonly #main: Connection
  readonly #channels = new Map<string, Set<Listener>>()
  /** A connection that listens may do little else (with RESP2), so it is one of its own. */
  #ear: Connection | undefined
  #isClosed = false

  constructor(options: RedisCommandsOptions) {
    this.#options = options
    this.#main = this.#connection('prewarm-control')
  }

  call(name: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#main.run(name, (redis) => redis.call(name, args))
  }

  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#main.script(script, keys, args)
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const entry = { hear: listener }
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners.add(entry))
    this.#ear ??= this.#listening()
    try {
      await this.#ear.run('SUBSCRIBE', (redis) => redis.subscribe(channel))
    } catch (error) {
      this.#forget(channel, entry)
      throw error
    }
    return async () => {
      if (!this.#forget(channel, entry) || this.#ear === undefined || this.#isClosed) return
      await this.#ear.run('UNSUBSCRIBE', (redis) => redis.unsubscribe(channel)).catch(() => {})
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#channels.clear()
    this.#main.close()
    this.#ear?.close()
  }

  #connection(name: string): Connection {
    const { url, tls, clock, timeoutMs = 2000 } = this.#options
    return new Connection((options) => new Redis(url, options), {
      ...{ url, tls, clock, timeoutMs, name },
      // A connection that was lost is tried once more before anybody is told.
      waitsForAnother: true,
      sha1: (text) => createHash('sha1').update(text).digest('hex'),
    })
  }

  #listening(): Connection {
    const link = this.#connection('prewarm-events')
    link.redis.on('message', (channel, message) => {
      for (const { hear } of [...(this.#channels.get(channel) ?? [])]) {
        try {
          hear(message)
        } catch (error) {
          this.#options.onError?.(error)
        }
      }
    })
    link.onReady(() => {
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
}
