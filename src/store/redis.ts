import { Redis } from 'ioredis'
import { DELETE } from '../cache/scripts.ts'
import type { Clock } from '../clock.ts'
import type { Outcome } from '../types.ts'
import { addWrite, NO_REPLY, readWrite } from './chunk-write.ts'
import { Connection, type Session, type Shas } from './connection.ts'
import { addHeat, HEAT_CHUNK, type HeatQuestion, otherQuestion, readHeat } from './heat.ts'
import { isReply, mayPass, refusedCall, refusing, unreachable } from './redis-errors.ts'
import { statsOf } from './redis-info.ts'
import { fail, isSame, unconfirmed } from './replies.ts'
import type {
  BeginOptions,
  Entry,
  KeyHeat,
  Store,
  StoredValue,
  StoreHeat,
  StoreStats,
  WriteOptions,
  WriteResult,
} from './types.ts'
import { type Chunk, chunksOf } from './write-script.ts'

export interface RedisOptions {
  /** `redis://` or `rediss://`. */
  url: string
  /** Node TLS options beyond what the URL says. */
  tls?: object | undefined
  clock: Clock
}

/** A chunk that was sent and never answered, with the connection it was sent on. */
interface Unsure {
  chunk: Chunk
  session: Session | undefined
}

/** Keys of one pipeline that reads, or of one script that deletes. */
const CHUNK = 500

const NEVER = new AbortController().signal

/**
 * A {@linkcode Store} on one Redis (or Valkey, 6.2 or later), over one connection. Tickets come over another, so that no batch waits
 * behind what others write before it can begin to read.
 */
export class RedisStore implements Store {
  readonly #redis: Redis
  readonly #url: string
  readonly #clock: Clock
  readonly #connection: Connection
  readonly #tickets: Redis
  readonly #ticketConnection: Connection
  #heatQuestion: HeatQuestion = { by: 'idle', exact: true }

  constructor({ url, tls, clock }: RedisOptions) {
    this.#url = url
    this.#clock = clock
    const options = {
      lazyConnect: true,
      connectTimeout: 5000,
      // Its socket is dropped at once in any case; the timer would keep the process for 2 s where there is none.
      disconnectTimeout: 0,
      // A write that waits in a queue, or is sent again after a reconnect, could replace a newer value.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times: number) =>
        this.#connection.isClosed ? null : Math.min(50 * 2 ** Math.min(times, 5), 1000),
      ...(tls === undefined ? {} : { tls }),
    }
    this.#redis = new Redis(url, { ...options, connectionName: 'prewarm' })
    this.#connection = new Connection(this.#redis, url, clock)
    this.#tickets = new Redis(url, { ...options, connectionName: 'prewarm-tickets' })
    this.#ticketConnection = new Connection(this.#tickets, url, clock)
  }

  async connect(timeoutMs: number): Promise<void> {
    // Without the scripts: who only looks needs none, and a full Redis would drop something for them.
    if (await this.#connection.connected(this.#clock.nowMs() + timeoutMs, NEVER)) return
    throw this.#connection.unreachable(`no answer within ${timeoutMs} ms`)
  }

  async begin({ timeoutMs = 5000, signal = NEVER }: BeginOptions = {}): Promise<string> {
    const deadlineMs = this.#clock.nowMs() + timeoutMs
    const connection = this.#ticketConnection
    // A ticket that was taken and is not used does no harm: whatever may pass is tried again.
    while (!signal.aborted && (await connection.ready(deadlineMs, signal))) {
      const { begin: sha } = connection.shas as Shas
      try {
        return String(await connection.within(deadlineMs - this.#clock.nowMs(), this.#tickets.evalsha(sha, 0)))
      } catch (error) {
        connection.lastError = error
        const { message } = error as Error
        if (message.startsWith('NOSCRIPT')) connection.shas = undefined
        else if (isReply(error as Error) && !mayPass(message)) throw refusedCall('to give a ticket', message)
        await this.#clock.sleep(10, signal)
      }
    }
    throw connection.unreachable(`no answer within ${timeoutMs} ms`)
  }

  async write(entries: readonly Entry[], options: WriteOptions): Promise<WriteResult> {
    const result: WriteResult = { outcomes: new Array<Outcome>(entries.length), failures: new Map() }
    const deadlineMs = this.#clock.nowMs() + options.timeoutMs
    const chunks = chunksOf(entries)
    if (options.signal.aborted || !(await this.#connection.ready(deadlineMs, options.signal))) {
      for (const chunk of chunks) this.#notSent(chunk, result)
      return result
    }
    const unsure = await this.#send(chunks, options, deadlineMs, result)
    if (unsure.length > 0) await this.#settle(unsure, deadlineMs, options.signal, result)
    return result
  }

  /** Sends every chunk in one pipeline and reads every reply; returns the chunks whose fate no reply told. */
  async #send(chunks: Chunk[], options: WriteOptions, deadlineMs: number, result: WriteResult): Promise<Unsure[]> {
    const { session } = this.#connection
    const pipeline = this.#redis.pipeline()
    const { write: sha } = this.#connection.shas as Shas
    for (const chunk of chunks) addWrite(pipeline, chunk, options, sha)
    const stalled = this.#clock.after(Math.max(1, deadlineMs - this.#clock.nowMs()), () => this.#connection.cut())
    const replies = await pipeline.exec().catch(() => null)
    stalled()
    const unsure: Unsure[] = []
    const again: Chunk[] = []
    for (const [at, chunk] of chunks.entries()) {
      const told = readWrite(chunk, replies?.[at] ?? NO_REPLY, result)
      if (told === 'again') again.push(chunk)
      else if (told === 'unsure') unsure.push({ chunk, session })
    }
    if (again.length > 0) {
      // The server was told to forget its scripts: nothing was done, and this is no failure of the task's.
      this.#connection.shas = undefined
      if (await this.#connection.ready(deadlineMs, options.signal))
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
    while (await this.#connection.ready(untilMs, signal)) {
      try {
        const { clientId, runId } = this.#connection.session as Session
        // After a restart of the server the old connection is gone, and its id may be somebody else's.
        if (session.runId === runId && session.clientId !== clientId) {
          await this.#connection.bounded(this.#redis.client('KILL', 'ID', session.clientId))
        }
        return await this.read(chunk.entries.map((entry) => entry.key))
      } catch (error) {
        this.#connection.lastError = error
        await this.#clock.sleep(10, signal)
        if (this.#clock.nowMs() >= untilMs || signal.aborted) break
      }
    }
    return null
  }

  #notSent(chunk: Chunk, result: WriteResult): void {
    const failure = this.#connection.unreachable('not connected').toJSON()
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

  async heatOf(keys: readonly string[]): Promise<StoreHeat> {
    const heat: (KeyHeat | null)[] = []
    let nowMs = 0
    // At least once, for the time.
    for (let from = 0; from === 0 || from < keys.length; from += HEAT_CHUNK) {
      const told = await this.#heatOfPage(keys.slice(from, from + HEAT_CHUNK))
      nowMs = told.nowMs
      heat.push(...told.keys)
    }
    return { ...this.#heatQuestion, nowMs, keys: heat }
  }

  /** The policy may be changed while this goes on, so that the question may have to be put in another way. */
  async #heatOfPage(keys: readonly string[], tries = 3): Promise<ReturnType<typeof readHeat>> {
    const question = this.#heatQuestion
    const pipeline = this.#redis.pipeline()
    addHeat(pipeline, keys, question)
    const replies = (await this.#connection.bounded(pipeline.exec())) ?? []
    const other = tries > 0 ? otherQuestion(replies, question) : null
    if (other !== null) {
      this.#heatQuestion = other
      return this.#heatOfPage(keys, tries - 1)
    }
    try {
      return readHeat(replies, question)
    } catch (error) {
      if (isReply(error as Error)) throw refusedCall('to tell how hot keys are', (error as Error).message)
      throw unreachable(error, this.#url)
    }
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

  async randomKeys(count: number): Promise<string[]> {
    const drawn = await this.#pipelined<string | null>(new Array(count).fill(''), (pipeline) => pipeline.randomkey())
    return drawn.filter((key) => key !== null)
  }

  async *scan(glob: string): AsyncGenerator<string[]> {
    let cursor = '0'
    do {
      const [next, page] = await this.#connection.bounded(this.#redis.scan(cursor, 'MATCH', glob, 'COUNT', 1000))
      if (page.length > 0) yield page
      cursor = next
    } while (cursor !== '0')
  }

  async unlink(keys: readonly string[]): Promise<number> {
    let deleted = 0
    for (let from = 0; from < keys.length; from += CHUNK) {
      const page = keys.slice(from, from + CHUNK)
      const reply = this.#redis.eval(DELETE.text, page.length, ...page, JSON.stringify(page)).catch(refusing('UNLINK'))
      deleted += Number(await this.#connection.bounded(reply))
    }
    return deleted
  }

  async stats(): Promise<StoreStats> {
    return statsOf(await this.#connection.bounded(this.#redis.info().catch(refusing('INFO'))))
  }

  async close(): Promise<void> {
    this.#connection.close()
    this.#ticketConnection.close()
  }

  async #pipelined<T = number>(
    keys: readonly string[],
    add: (pipeline: ReturnType<Redis['pipeline']>, key: string) => unknown,
  ): Promise<T[]> {
    const replies: T[] = []
    if (!this.#connection.hasBegun) await this.connect(5000)
    for (let from = 0; from < keys.length; from += CHUNK) {
      const pipeline = this.#redis.pipeline()
      for (const key of keys.slice(from, from + CHUNK)) add(pipeline, key)
      for (const [error, reply] of (await this.#connection.bounded(pipeline.exec())) ?? []) {
        if (error !== null) throw unreachable(error, this.#url)
        replies.push(reply as T)
      }
    }
    return replies
  }
}
