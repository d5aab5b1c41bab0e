import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { JobResult } from '../../src/index.ts'
import { copiedConfig, psqlRows, runJob, type Servers, startServers } from '../support/warming.ts'
import { loadChinook } from './fixtures/chinook-data.ts'
import { EXPECTED, type Expected, PLAIN } from './fixtures/chinook-expected.ts'

const CONFIG = join(import.meta.dirname, 'fixtures/chinook.config.ts')
const TIMEOUT = { timeout: 60_000 }

type Value = string | Record<string, string>

describe('a configuration for Chinook', () => {
  let servers: Servers
  let origin: Server
  const headers: (string | undefined)[] = []

  before(async () => {
    servers = await startServers()
    loadChinook(servers.postgresServer.url)
    origin = createServer((request, response) => {
      headers.push(request.headers['x-api-key'] as string | undefined)
      if (request.url?.startsWith('/page/')) response.end(`page ${request.url} ü`)
      else response.end(JSON.stringify({ data: [{ rate: { of: request.url, n: 1.5 } }] }))
    })
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
    process.env.CHINOOK_TEST_HTTP = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  }, TIMEOUT)
  after(async () => {
    origin.close()
    await servers.stop()
  }, TIMEOUT)

  /** Every key of a task as SQL says it must be. */
  const expectedOf = async ({ query, as, key, columns }: Expected): Promise<Map<string, Value>> => {
    const rows = as === 'json' ? await servers.sql.unsafe(query) : psqlRows(servers.postgresServer.url, query)
    const pick = (row: Record<string, unknown>) =>
      columns === undefined ? { ...row } : Object.fromEntries(columns.map((name) => [name, row[name]]))
    const value = (row: Record<string, unknown>): Value => {
      if (as === 'json') return JSON.stringify(pick(row))
      return as === 'hash' ? (pick(row) as Record<string, string>) : (row[as.column] as string)
    }
    return new Map(rows.map((row) => [key(row), value(row)]))
  }

  const check = async (name: string, expected: Map<string, Value>, ttlMs: number, startedMs: number) => {
    const keys = [...expected.keys()]
    const pipeline = servers.redis.pipeline()
    for (const key of keys) {
      if (typeof expected.get(key) === 'string') pipeline.get(key)
      else pipeline.hgetall(key)
      pipeline.pttl(key)
    }
    const replies = ((await pipeline.exec()) ?? []).map(([error, reply]) => error ?? reply)
    const elapsedMs = performance.now() - startedMs
    for (const [at, key] of keys.entries()) {
      const [value, left] = [replies[at * 2], replies[at * 2 + 1] as number]
      assertEquals(value === null ? null : structuredClone(value), expected.get(key), `${name}: ${key}`)
      assert(
        left <= ttlMs && left >= 0.9 * ttlMs - elapsedMs - 1,
        `${name}: ${key} has ${left} ms left of ${ttlMs}, after ${elapsedMs} ms`,
      )
    }
    return keys.length
  }

  const keysOf = (result: JobResult, task: string) => result.tasks.find((one) => one.task === task)?.keys

  for (const workers of [2, 0]) {
    it(
      `is warmed exactly as SQL says by ${workers === 0 ? 'this thread' : `${workers} workers`}`,
      TIMEOUT,
      async () => {
        const { redis, sql, urls } = servers
        await redis.flushall()
        headers.length = 0
        await redis.hset('present:1', { name: 'was here' })
        await redis.hset('newer:1', { invoice_id: 'mine', invoice_date: '2999-01-01 00:00:00' })
        await redis.hset('newer:2', { invoice_id: 'old', invoice_date: '2001-01-01 00:00:00' })
        await redis.set('track:1', 'of another type')
        const startedMs = performance.now()
        const result = await runJob({ file: copiedConfig(CONFIG), workers, ...urls })
        assertEquals(
          result.tasks.flatMap(({ task, firstError }) => (firstError === null ? [] : [[task, firstError]])),
          [],
        )
        assertEquals([result.status, result.coverage], ['success', 1])

        let total = 0
        for (const [name, expected] of Object.entries(EXPECTED)) {
          const values = await expectedOf(expected)
          if (name === 'newer') {
            values.delete('newer:1')
            assertEquals(keysOf(result, name)?.skippedNewer, 1)
          }
          assert(values.size > 0, name)
          const count = await check(name, values, expected.ttlMs, startedMs)
          assertEquals([name, keysOf(result, name)?.written, keysOf(result, name)?.failed], [name, count, 0])
          total += count
        }
        for (const [name, values] of Object.entries(PLAIN)) {
          const ttlMs = name === 'names' ? 300_000 : 600_000
          total += await check(name, new Map(Object.entries(values)), ttlMs, startedMs)
        }
        assertEquals(headers.sort(), ['k1', 'k1', 'k1', undefined, undefined])

        assertEquals(await redis.hgetall('newer:1'), { invoice_id: 'mine', invoice_date: '2999-01-01 00:00:00' })
        assertEquals(await redis.hgetall('present:1'), { name: 'was here' })
        assertEquals(await redis.pttl('present:1'), -1)
        const [{ count } = { count: 0 }] = await sql`select count(*)::int from genre`
        assertEquals(
          [keysOf(result, 'present')?.written, keysOf(result, 'present')?.skippedPresent],
          [Number(count) - 1, 1],
        )
        // Nothing else is there: `present` and the kept key of `newer` were not looked at one by one.
        assertEquals(await redis.dbsize(), total + Number(count) + 1)
        assertEquals(result.keys.planned, total + Number(count) + 1)
      },
    )
  }
})
