import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Clock } from '../clock.ts'
import { Connection } from '../coordination/connection.ts'
import type { Script } from '../coordination/types.ts'
import { PrewarmError } from '../errors.ts'
import { BEGIN_WARMING } from '../store/changes.ts'
import { isNoDatabase } from '../store/database.ts'
import { isReply } from '../store/redis-errors.ts'
import { runIdOf } from '../store/redis-info.ts'
import { versionKey } from '../store/write-script.ts'
import { DUMP, RESTORE } from './scripts.ts'
import type { CopySource, CopyTarget, Dumped, RawKey, Restored, ServerFacts } from './types.ts'

export interface RedisEndOptions {
  /** `redis://` or `rediss://`. */
  url: string
  clock: Clock
  /** Bound on each call, ms. @default 10_000 */
  timeoutMs?: number
}

/** Keys that a page of SCAN looks at. */
const SCAN_COUNT = 1000
const LETTERS: Record<string, Restored> = { w: 'copied', p: 'present', n: 'newer', e: 'expired', o: 'full' }

/** One end of a copy: a Redis (or Valkey, 6.2 or later) over one connection, whose replies are bytes. */
export class RedisEnd implements CopySource, CopyTarget {
  readonly url: string
  readonly #connection: Connection
  readonly #shas = new Map<Script, string>()

  constructor({ url, clock, timeoutMs = 10_000 }: RedisEndOptions) {
    this.url = url
    this.#connection = new Connection((options) => new Redis(url, options), {
      ...{ url, clock, timeoutMs, name: 'prewarm-copy', waitsForAnother: false },
      sha1: (text) => createHash('sha1').update(text).digest('hex'),
    })
  }

  /** @throws {PrewarmError} `USAGE` for a database that the server has not, `STORE_*` */
  async server(): Promise<ServerFacts> {
    const [server, memory, time] = await this.#run('INFO', (redis) =>
      Promise.all([redis.info('server'), redis.info('memory'), redis.time()]),
    ).catch((error) => {
      // Both URLs were given with the command.
      throw isNoDatabase(error) ? new PrewarmError('USAGE', error.message, { cause: error }) : error
    })
    for (const script of [DUMP, RESTORE]) {
      const sha = await this.#run('SCRIPT LOAD', (redis) => redis.script('LOAD', script.text))
      this.#shas.set(script, String(sha))
    }
    const [seconds, micros] = time as unknown as [string | number, string | number]
    return {
      runId: runIdOf(server),
      database: this.#connection.redis.options.db ?? 0,
      version: fieldOf(server, 'redis_version'),
      heat: fieldOf(memory, 'maxmemory_policy').endsWith('lfu') ? 'freq' : 'idle',
      nowMs: Number(seconds) * 1000 + Math.floor(Number(micros) / 1000),
    }
  }

  async *scan(match: string): AsyncGenerator<RawKey[]> {
    let cursor = '0'
    do {
      const from = cursor
      const [next, keys] = await this.#run('SCAN', (redis) =>
        redis.scanBuffer(from, 'MATCH', match, 'COUNT', SCAN_COUNT),
      )
      cursor = next.toString()
      if (keys.length > 0) yield keys.map((key) => key.toString('latin1'))
    } while (cursor !== '0')
  }

  async heatOf(keys: readonly RawKey[], by: ServerFacts['heat']): Promise<(number | null)[]> {
    const name = by === 'freq' ? 'FREQ' : 'IDLETIME'
    const replies = await this.#pipelined(keys.map((key) => ['OBJECT', name, bytes(key)]))
    return replies.map((reply) => (typeof reply !== 'number' ? null : by === 'freq' ? reply : -reply))
  }

  async bytesOf(keys: readonly RawKey[]): Promise<(number | null)[]> {
    const replies = await this.#pipelined(keys.map((key) => ['MEMORY', 'USAGE', bytes(key)]))
    return replies.map((reply) => (typeof reply === 'number' ? reply : null))
  }

  async dump(keys: readonly RawKey[], by: ServerFacts['heat']): Promise<(Dumped | null)[]> {
    const name = by === 'freq' ? 'FREQ' : 'IDLETIME'
    const sha = this.#shas.get(DUMP) as string
    const replies = await this.#pipelined(
      keys.map((key) => ['EVALSHA', sha, 2, bytes(key), bytes(versionKey(key)), name]),
    )
    return replies.map((reply, at) => {
      if (!Array.isArray(reply)) return null
      const [payload, expires, version, heat] = reply as [Buffer, Buffer, Buffer, number]
      const expiresAtMs = Number(expires.toString())
      const told = heat < 0 ? null : heat
      return {
        key: keys[at] as RawKey,
        payload,
        expiresAtMs: expiresAtMs < 0 ? null : expiresAtMs,
        version: version.length === 0 ? null : version.toString('latin1'),
        freq: by === 'freq' ? told : null,
        idleS: by === 'idle' ? told : null,
      }
    })
  }

  async memory(): Promise<{ usedBytes: number; maxBytes: number }> {
    const info = await this.#run('INFO', (redis) => redis.info('memory'))
    return { usedBytes: Number(fieldOf(info, 'used_memory')), maxBytes: Number(fieldOf(info, 'maxmemory')) }
  }

  async present(keys: readonly RawKey[]): Promise<boolean[]> {
    const replies = await this.#pipelined(keys.map((key) => ['EXISTS', bytes(key)]))
    return replies.map((reply) => reply === 1)
  }

  async begin(): Promise<string> {
    return String(await this.#connection.script(BEGIN_WARMING, [], []))
  }

  async restore(dumped: readonly Dumped[], ticket: string): Promise<Restored[]> {
    if (dumped.length === 0) return []
    const args: (string | number | Buffer)[] = [this.#shas.get(RESTORE) as string, dumped.length]
    for (const { key } of dumped) args.push(bytes(key))
    args.push(ticket)
    for (const { payload, expiresAtMs, version, freq, idleS } of dumped) {
      const heat = freq !== null ? ['FREQ', freq] : idleS !== null ? ['IDLETIME', idleS] : ['', '']
      args.push(expiresAtMs ?? '', ...heat, version === null ? '' : bytes(version), payload as Buffer)
    }
    const reply = (await this.#run('RESTORE', (redis) => redis.callBuffer('EVALSHA', args))) as Buffer[]
    return dumped.map((_, at) => {
      const letter = (reply[2 * at] as Buffer).toString()
      return LETTERS[letter] ?? { failed: (reply[2 * at + 1] as Buffer).toString() }
    })
  }

  /** Safe to call twice; what waits fails. */
  close(): void {
    this.#connection.close()
  }

  #run<T>(name: string, work: (redis: Redis) => Promise<T>): Promise<T> {
    return this.#connection.run(name, work)
  }

  async #pipelined(commands: readonly (readonly (string | number | Buffer)[])[]): Promise<unknown[]> {
    if (commands.length === 0) return []
    return this.#run(String(commands[0]?.[0]), async (redis) => {
      const pipeline = redis.pipeline()
      for (const [name, ...args] of commands) pipeline.callBuffer(String(name), args)
      const replies = (await pipeline.exec()) ?? []
      return replies.map(([error, reply]) => {
        // One that concerns one key, which has just gone, is no answer; any other is for all.
        if (error !== null && !(isReply(error) && error.message.startsWith('ERR no such key'))) throw error
        return error === null ? reply : null
      })
    })
  }
}

function bytes(raw: string): Buffer {
  return Buffer.from(raw, 'latin1')
}

function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? ''
}
