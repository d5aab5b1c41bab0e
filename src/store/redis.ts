import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { PrewarmError } from '../errors.ts'
import type { Outcome } from '../types.ts'
import { chunkWriteFor, type ScriptShas } from './chunk-write.ts'
import { isReply, refusedCall, unreachable } from './redis-errors.ts'
import { runIdOf, statsOf } from './redis-info.ts'
import { fail, isSame, unconfirmed } from './replies.ts'
import type { Entry, Store, StoredValue, StoreStats, WriteOptions, WriteResult } from './types.ts'
import { type Chunk, chunksOf, FENCED_WRITE_SCRIPT, versionKey, WRITE_SCRIPT } from './write-script.ts'

export interface RedisOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** Node TLS options beyond what the URL says. */
  tls?: object | undefined
  clock: Clock
}

interface Session {
  clientId: number
  runId: string
}

/** A chunk that was sent and never answered, with the connection it was sent on. */
interface Unsure {
  chunk: Chunk
  session: Session | undefined
}

/** Keys of one pipeline that reads or deletes. */
const CHUNK = 500

/** A {@linkcode Store} on one Redis (or Valkey, 6.2 or later), over one connection. */
export class RedisStore implements Store {
  readonly #redis: Redis
  readonly #url: string
  readonly #clock: Clock
  #shas: ScriptShas | undefined
  /** Which connection of which run of the server this is. */
  #session: Session | undefined
  #lastError: unknown
  #closed = false

  constructor({ url, tls, clock }: RedisOptions) {
    this.#url = url
    this.#clock = clock
    this.#redis = new Redis(url, {
      lazyConnect: true,
      connectionName: 'prewarm',
      connectTimeout: 5000,
      // Its socket is dropped at once in any case; the timer would keep the process for 2 s where there is none.
      disconnectTimeout: 0,
      // A write that waits in a queue, or is sent again after a reconnect, could replace a newer value.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => (this.#closed ? null : Math.min(50 * 2 ** Math.min(times, 5), 1000)),
      ...(tls === undefined ? {} : { tls }),
    })
    this.#redis.on('close', () => {
      this.#shas = undefined
    })
    this.#redis.on('error', (error) => {
      this.#lastError = error
    })
  }

  async connect(timeoutMs: number): Promise<void> {
    if (!(await this.#readyToWrite(this.#clock.nowMs() + timeoutMs, new AbortController().signal))) {
      throw unreachable(this.#lastError ?? new Error(`no answer within ${timeoutMs} ms`), this.#url)
    }
  }

  async write(entries: readonly Entry[], options: WriteOptions): Promise<WriteResult> {
    const result: WriteResult = { outcomes: new Array<Outcome>(entries.length), failures: new Map() }
    const deadlineMs = this.#clock.nowMs() + options.timeoutMs
    const chunks = chunksOf(entries)
    if (options.signal.aborted || !(await this.#readyToWrite(deadlineMs, options.signal))) {
      for (const chunk of chunks) this.#notSent(chunk, result)
      return result
    }
    const unsure = await this.#send(chunks, options, deadlineMs, result)
    if (unsure.length > 0) await this.#settle(unsure, deadlineMs, options.signal, result)
    return result
  }

  /** Sends every chunk in one pipeline and reads every reply; returns the chunks whose fate no reply told. */
  async #send(chunks: Chunk[], options: WriteOptions, deadlineMs: number, result: WriteResult): Promise<Unsure[]> {
    const session = this.#session
    const write = chunkWriteFor(chunks[0], options)
    const pipeline = this.#redis.pipeline()
    for (const chunk of chunks) write.add(pipeline, chunk, options, this.#shas as ScriptShas)
    const stalled = this.#clock.after(Math.max(1, deadlineMs - this.#clock.nowMs()), () => this.#cut())
    const replies = await pipeline.exec().catch(() => null)
    stalled()
    const unsure: Unsure[] = []
    const again: Chunk[] = []
    let at = 0
    for (const chunk of chunks) {
      const size = write.size(chunk)
      const left = write.read(chunk, (replies ?? []).slice(at, at + size), result)
      if (left === 'again') again.push(chunk)
      else if (left !== null) unsure.push({ chunk: left, session })
      at += size
    }
    if (again.length > 0) {
      // The server was told to forget its scripts: nothing was done, and this is no failure of the task's.
      this.#shas = undefined
      if (await this.#readyToWrite(deadlineMs, options.signal))
        unsure.push(...(await this.#send(again, options, deadlineMs, result)))
      else for (const chunk of again) this.#notSent(chunk, result)
    }
    return unsure
  }

  /**
   * The fate of keys that were sent and never confirmed. The old connection is killed first, so that nothing that
   * still waits in it can be carried out later; then the store tells what it holds.
   */
  async #settle(unsure: Unsure[], deadlineMs: number, signal: AbortSignal, result: WriteResult): Promise<void> {
    const untilMs = Math.max(deadlineMs, this.#clock.nowMs() + 2000)
    for (const { chunk, session } of unsure) {
      const stored = await this.#afterKill(session, chunk, untilMs, signal)
      for (const [at, entry] of chunk.entries.entries()) {
        const index = chunk.first + at
        const held = stored?.[at] ?? null
        if (isSame(held, entry)) result.outcomes[index] = 'written'
        else if (stored === null) fail(result, index, 'unknown', unconfirmed(entry.key, 'no answer'))
        else fail(result, index, 'failed', unconfirmed(entry.key, held === null ? 'nothing' : 'another value'))
      }
    }
  }

  /** What the store holds once nothing of `session` can still arrive; null if it can't be told in time. */
  async #afterKill(
    session: Session | undefined,
    chunk: Chunk,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<(StoredValue | null)[] | null> {
    if (session === undefined || session.clientId < 0) return null
    // A connection may look ready for a moment after it was lost: what fails is tried again on the next one.
    while (await this.#readyToWrite(untilMs, signal)) {
      try {
        const { clientId, runId } = this.#session as Session
        // After a restart of the server the old connection is gone, and its id may be somebody else's.
        if (session.runId === runId && session.clientId !== clientId) {
          await this.#bounded(this.#redis.client('KILL', 'ID', session.clientId))
        }
        return await this.read(chunk.entries.map((entry) => entry.key))
      } catch (error) {
        this.#lastError = error
        await this.#clock.sleep(10, signal)
        if (this.#clock.nowMs() >= untilMs || signal.aborted) break
      }
    }
    return null
  }

  #notSent(chunk: Chunk, result: WriteResult): void {
    const failure = unreachable(this.#lastError ?? new Error('not connected'), this.#url).toJSON()
    for (const [at, entry] of chunk.entries.entries()) {
      fail(result, chunk.first + at, 'failed', { failure: { ...failure, key: entry.key }, retryable: true })
    }
  }

  async ttlsMs(keys: readonly string[]): Promise<number[]> {
    return this.#pipelined(keys, (pipeline, key) => pipeline.pttl(key))
  }

  async bytesOf(keys: readonly string[]): Promise<number[]> {
    const sizes = await this.#pipelined<number | null>(keys, (pipeline, key) => pipeline.memory('USAGE', key))
    return sizes.map((size) => size ?? 0)
  }

  async read(keys: readonly string[]): Promise<(StoredValue | null)[]> {
    const types = await this.#pipelined<string>(keys, (pipeline, key) => pipeline.type(key))
    let index = 0
    const values = await this.#pipelined<unknown>(keys, (pipeline, key) => {
      const type = types[index++]
      if (type === 'string') return pipeline.get(key)
      return type === 'hash' ? pipeline.hgetall(key) : pipeline.exists(key)
    })
    return values.map((value, at): StoredValue | null => {
      const name = types[at] as string
      if (name === 'string' && value !== null) return { type: 'string', value: value as string }
      if (name === 'hash' && Object.keys(value as object).length > 0) {
        return { type: 'hash', fields: value as Record<string, string> }
      }
      return name === 'string' || name === 'hash' || name === 'none' ? null : { type: 'other', name }
    })
  }

  async *scan(glob: string): AsyncGenerator<string[]> {
    let cursor = '0'
    do {
      const [next, page] = await this.#bounded(this.#redis.scan(cursor, 'MATCH', glob, 'COUNT', 1000))
      if (page.length > 0) yield page
      cursor = next
    } while (cursor !== '0')
  }

  async unlink(keys: readonly string[]): Promise<number> {
    let deleted = 0
    for (let from = 0; from < keys.length; from += CHUNK) {
      const page = keys.slice(from, from + CHUNK)
      const pipeline = this.#redis.pipeline().unlink(page).unlink(page.map(versionKey))
      const replies = (await this.#bounded(pipeline.exec())) ?? []
      const failed = replies.find(([error]) => error !== null)?.[0]
      if (failed) throw isReply(failed) ? refusedCall('UNLINK', failed.message) : unreachable(failed, this.#url)
      deleted += Number(replies[0]?.[1])
    }
    return deleted
  }

  async stats(): Promise<StoreStats> {
    return statsOf(await this.#bounded(this.#redis.info()))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#redis.disconnect()
    this.#cut()
  }

  async #pipelined<T = number>(
    keys: readonly string[],
    add: (pipeline: ReturnType<Redis['pipeline']>, key: string) => unknown,
  ): Promise<T[]> {
    const replies: T[] = []
    for (let from = 0; from < keys.length; from += CHUNK) {
      const pipeline = this.#redis.pipeline()
      for (const key of keys.slice(from, from + CHUNK)) add(pipeline, key)
      for (const [error, reply] of (await this.#bounded(pipeline.exec())) ?? []) {
        if (error !== null) throw unreachable(error, this.#url)
        replies.push(reply as T)
      }
    }
    return replies
  }

  /** A reading command bounded to 5 s; a stalled connection is cut. */
  async #bounded<T>(work: Promise<T>): Promise<T> {
    const stalled = this.#clock.after(5000, () => this.#cut())
    try {
      return await work
    } catch (error) {
      throw error instanceof PrewarmError ? error : unreachable(error, this.#url)
    } finally {
      stalled()
    }
  }

  /** Waits for a connection that has the script; false at the deadline or when `signal` aborts. */
  async #readyToWrite(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#redis.status === 'ready' && this.#shas !== undefined) return true
      if (!(await this.#ready(deadlineMs, signal))) return false
      try {
        await this.#prepare()
      } catch (error) {
        this.#lastError = error
        await this.#clock.sleep(10, signal)
      }
    }
  }

  /** Waits for the connection; false at the deadline or when `signal` aborts. */
  async #ready(deadlineMs: number, signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#closed || signal?.aborted || this.#clock.nowMs() >= deadlineMs) return false
      if (this.#redis.status === 'ready') return true
      if (this.#redis.status === 'wait' || this.#redis.status === 'end') this.#redis.connect().catch(() => {})
      await this.#clock.sleep(10, signal)
    }
  }

  /** What every new connection needs: the scripts in the server, and its own id (to be killed by, should it be lost). */
  async #prepare(): Promise<void> {
    const [plain, fenced, id, info] = await this.#bounded(
      Promise.all([
        this.#redis.script('LOAD', WRITE_SCRIPT) as Promise<string>,
        this.#redis.script('LOAD', FENCED_WRITE_SCRIPT) as Promise<string>,
        this.#redis.client('ID').catch(() => -1),
        this.#redis.info('server').catch(() => ''),
      ]),
    )
    this.#shas = { plain, fenced }
    this.#session = { clientId: Number(id), runId: runIdOf(info) }
  }

  /** Drops the socket at once, with what it has not sent yet. */
  #cut(): void {
    ;(this.#redis as unknown as { stream?: { destroy(): void } }).stream?.destroy()
  }
}
