import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { Connection, type NewClient } from '../coordination/connection.ts'
import type { Script } from '../coordination/types.ts'
import { isReply } from '../store/redis-errors.ts'
import { Hearing } from './hearing.ts'
import { FILL, LEASE, READ, TICKET } from './scripts.ts'
import type { CacheLink, ChangeListener } from './tier.ts'

export interface RedisLinkOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** Node TLS options beyond what the URL says. */
  tls?: object | undefined
  clock: Clock
  listener: ChangeListener
  /** Also hears what other programs delete; the server's `notify-keyspace-events` needs `Eg` for it. @default false */
  keyspaceEvents?: boolean
  /** Bound on each call, ms; a connection that does not answer in that time is dropped. @default 2000 */
  timeoutMs?: number
  /** Told, once each, what is amiss with the server's settings or rights. */
  onNotice?: (message: string) => void
}

/** What every reader needs. */
const SCRIPTS = [READ, FILL, LEASE, TICKET]

/** Keys that a page of SCAN looks at. */
const SCAN_COUNT = 1000

/**
 * A {@linkcode CacheLink} to one Redis (or Valkey, 6.2 or later) over two connections, one of which only hears. Begins to
 * connect at once, and again whenever a connection is lost. Calls wait for the first attempt to connect; after a loss they fail
 * at once until the connection is back. Nothing is queued or sent twice.
 */
export class RedisLink implements CacheLink {
  readonly #main: Connection
  readonly #ear: Connection
  readonly #hearing: Hearing

  constructor({ url, tls, clock, listener, keyspaceEvents, timeoutMs, onNotice }: RedisLinkOptions) {
    const newClient: NewClient = (options) => new Redis(url, options)
    const options = {
      ...{ url, tls, clock, timeoutMs: timeoutMs ?? 2000, waitsForAnother: false },
      sha1: (text: string) => createHash('sha1').update(text).digest('hex'),
    }
    this.#main = new Connection(newClient, { ...options, name: 'prewarm-cache' })
    this.#ear = new Connection(newClient, { ...options, name: 'prewarm-cache-ear', protocol: 2 })
    this.#hearing = new Hearing({
      ...{ main: this.#main, ear: this.#ear, clock, listener },
      keyspaceEvents: keyspaceEvents ?? false,
      onNotice: onNotice ?? (() => {}),
    })
    this.#main.open()
    this.#ear.open()
  }

  get hearing(): CacheLink['hearing'] {
    return this.#hearing.state
  }

  /** Resolves when it is connected and hears, or knows that it can't. @throws {PrewarmError} `STORE_UNREACHABLE` */
  async ready(): Promise<void> {
    // Known to the server, so that the first readers need not send them.
    await this.#main.run('SCRIPT LOAD', (redis) => Promise.all(SCRIPTS.map(({ text }) => redis.script('LOAD', text))))
    if (await this.#ear.run('PING', (redis) => redis.ping()).catch(() => null)) await this.#hearing.tried
  }

  async script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    watched: readonly string[] = [],
  ): Promise<unknown> {
    if (watched.length === 0 || this.hearing !== 'tracking') return this.#main.script(script, keys, args)
    // Sent in one go, in this order. What is changed between the two is heard of, and thus not kept.
    const watching = this.#main.run('EXISTS', (redis) => redis.exists(...watched))
    const [reply] = await Promise.all([this.#main.script(script, keys, args), watching])
    return reply
  }

  run(commands: readonly (readonly (string | number)[])[]): Promise<unknown[]> {
    return this.#main.run('reading', async (redis) => {
      const pipeline = redis.pipeline()
      for (const [name, ...args] of commands) pipeline.call(String(name), ...args)
      const replies = (await pipeline.exec()) ?? []
      return replies.map(([error, reply]) => {
        if (error !== null && !isReply(error)) throw error
        return error ?? reply
      })
    })
  }

  async *scan(glob: string): AsyncIterable<string[]> {
    let cursor = '0'
    do {
      const from = cursor
      const [next, keys] = await this.#main.run('SCAN', (redis) => redis.scan(from, 'MATCH', glob, 'COUNT', SCAN_COUNT))
      cursor = next
      if (keys.length > 0) yield keys
    } while (cursor !== '0')
  }

  /** Safe to call twice; what waits fails. */
  async close(): Promise<void> {
    this.#hearing.close()
    this.#main.close()
    this.#ear.close()
  }
}
