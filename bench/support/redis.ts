import { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../../test/support/servers.ts'
import { check } from './check.ts'

/** A real Redis of our own, with a client to look into it. */
export interface BenchRedis extends RedisServer {
  client: Redis
  empty(): Promise<unknown>
  /** Throws unless it holds exactly `count` keys. */
  expectSize(count: number, who: string): Promise<void>
}

export async function openRedis(): Promise<BenchRedis> {
  const server = await startRedisServer()
  const client = new Redis(server.url)
  return {
    ...server,
    client,
    empty: () => client.flushall('SYNC'),
    async expectSize(count, who) {
      const size = await client.dbsize()
      check(size === count, `${who} left ${size} keys in Redis, expected ${count}`)
    },
    async stop() {
      client.disconnect()
      await server.stop()
    },
  }
}

/** Throws unless `ttlMs` lies between `least` and `most`. */
export function expectTtl(key: string, ttlMs: number, least: number, most: number): void {
  check(ttlMs >= least && ttlMs <= most, `'${key}' lives ${ttlMs} ms, expected ${least} to ${most}`)
}

/** Feeds ready-made RESP to `redis-cli --pipe`, and throws unless every reply was good. */
export async function pipeInto(port: number, resp: string | Blob | ReadableStream | Bun.BunFile): Promise<void> {
  const input = typeof resp === 'string' ? new Blob([resp]) : resp
  const child = Bun.spawn(['redis-cli', '-p', String(port), '--pipe'], { stdin: input, stdout: 'pipe', stderr: 'pipe' })
  const said = await new Response(child.stdout).text()
  check((await child.exited) === 0 && said.includes('errors: 0'), `redis-cli --pipe said: ${said}`)
}

/** One command in RESP. */
export function resp(...args: readonly string[]): string {
  let text = `*${args.length}\r\n`
  for (const arg of args) text += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`
  return text
}

/** Calls `work` for each item, `inFlight` at a time. */
export async function eachOf<T>(items: readonly T[], inFlight: number, work: (item: T) => Promise<unknown>) {
  let next = 0
  const lane = async () => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

/** `items` cut into slices of `size`. */
export function slices<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
