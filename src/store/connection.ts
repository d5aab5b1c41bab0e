import type { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import { BEGIN_WARMING } from './changes.ts'
import { isNoDatabase, whenSelected } from './database.ts'
import { unreachable } from './redis-errors.ts'
import { runIdOf } from './redis-info.ts'
import { WRITE_SCRIPT } from './write-script.ts'

/** What the server knows the scripts by. */
export interface Shas {
  write: string
  begin: string
}

/** Which connection of which run of the server. */
export interface Session {
  clientId: number
  runId: string
}

/** A client's connection: waits until it can be used, cuts it when it stalls, and knows which one it is. */
export class Connection {
  readonly #redis: Redis
  readonly #url: string
  readonly #clock: Clock
  #session: Session | undefined
  #isClosed = false
  /** It is connected, and to the database that the URL names. */
  #isReady = false
  /** It was connected before: a worker's begins with what it is first needed for. */
  hasBegun = false
  /** The server has no such database: waiting would not help. */
  #isLost = false
  /** Undefined: the server is not known to have the scripts. */
  shas: Shas | undefined
  /** What went wrong last. */
  lastError: unknown

  constructor(redis: Redis, url: string, clock: Clock) {
    this.#redis = redis
    this.#url = url
    this.#clock = clock
    whenSelected(redis, url, {
      begin: () => {
        this.#isReady = true
        this.hasBegun = true
        this.#isLost = false
      },
      refuse: (error) => {
        this.lastError = error
        this.#isLost = isNoDatabase(error)
        this.cut()
      },
    })
    redis.on('close', () => {
      this.#isReady = false
      this.shas = undefined
    })
    redis.on('error', (error) => {
      this.lastError = error
    })
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** What keeps it from being used; `otherwise` where nothing was told. */
  unreachable(otherwise: string): PrewarmError {
    return unreachable(this.lastError ?? new Error(otherwise), this.#url)
  }

  /** A command bounded to 5 s. @throws {PrewarmError} `STORE_UNREACHABLE` */
  async bounded<T>(work: Promise<T>): Promise<T> {
    try {
      return await this.within(5000, work)
    } catch (error) {
      throw error instanceof PrewarmError ? error : unreachable(error, this.#url)
    }
  }

  /** A bounded command; a stalled connection is cut. */
  async within<T>(ms: number, work: Promise<T>): Promise<T> {
    const stalled = this.#clock.after(Math.max(1, ms), () => this.cut())
    try {
      return await work
    } finally {
      stalled()
    }
  }

  /** Waits for a connection that has the scripts; false at the deadline or when `signal` aborts. */
  async ready(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#isReady && this.shas !== undefined) return true
      if (!(await this.connected(deadlineMs, signal))) return false
      try {
        await this.#prepare()
      } catch (error) {
        this.lastError = error
        await this.#clock.sleep(10, signal)
      }
    }
  }

  /** Waits for the connection; false at the deadline or when `signal` aborts. */
  async connected(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#isClosed || this.#isLost || signal.aborted || this.#clock.nowMs() >= deadlineMs) return false
      if (this.#isReady) return true
      if (this.#redis.status === 'wait' || this.#redis.status === 'end') this.#redis.connect().catch(() => {})
      await this.#clock.sleep(10, signal)
    }
  }

  /** What every new connection needs: the scripts in the server, and its own id (to be killed by, should it be lost). */
  async #prepare(): Promise<void> {
    const [write, begin, id, info] = await this.bounded(
      Promise.all([
        this.#redis.script('LOAD', WRITE_SCRIPT) as Promise<string>,
        this.#redis.script('LOAD', BEGIN_WARMING.text) as Promise<string>,
        this.#redis.client('ID').catch(() => -1),
        this.#redis.info('server').catch(() => ''),
      ]),
    )
    this.shas = { write, begin }
    this.#session = { clientId: Number(id), runId: runIdOf(info) }
  }

  /** Drops the socket at once, with what it has not sent yet. */
  cut(): void {
    ;(this.#redis as unknown as { stream?: { destroy(): void } }).stream?.destroy()
  }

  close(): void {
    this.#isClosed = true
    this.#redis.disconnect()
    this.cut()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }
}
