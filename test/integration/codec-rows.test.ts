/** Rows that are stored for other cache libraries. */
import { Buffer } from 'node:buffer'
import { after, before, describe, it } from 'node:test'
import { createKeyv } from '@keyv/redis'
import { assert, assertEquals } from '@std/assert'
import { defineConfig, sql } from '../../src/index.ts'
import { select } from '../../src/inspect/select.ts'
import { verify } from '../../src/inspect/verify.ts'
import { type Servers, startServers, withWarmer } from '../support/warming.ts'

describe('rows for other cache libraries', () => {
  const QUERY = `select 1 as id, 'Brazil' as title, 4.99::float8 as rate, null as seen, 9007199254740993 as big,
    timestamptz '1985-02-20 00:00:00+00' as at, '\\x00ff'::bytea as photo`
  let servers: Servers
  before(
    async () => {
      servers = await startServers()
    },
    { timeout: 60_000 },
  )
  after(() => servers?.stop(), { timeout: 60_000 })

  for (const orderBy of [[], ['id']]) {
    it(`Keyv reads a row as an object, and verify finds it the same (order ${orderBy})`, {
      timeout: 60_000,
    }, async () => {
      await servers.redis.flushall()
      const films = sql({
        key: 'film:{id}',
        value: 'keyv',
        ttl: '1m',
        query: QUERY,
        ...(orderBy.length > 0 && { orderBy }),
      })
      const config = defineConfig({ tasks: { films }, workers: 0 })
      await withWarmer({ config, ...servers.urls }, async (warmer) => {
        const result = await warmer.submit({}).result
        assertEquals([result.status, result.keys.written], ['success', 1], JSON.stringify(result.tasks))
        const keyv = createKeyv(servers.redisServer.url)
        const { title, rate, seen, at, photo } = (await keyv.get('film:1')) as Record<string, unknown>
        await keyv.disconnect()
        const bytes = Buffer.from([0, 255])
        assertEquals([title, rate, seen, at, photo], ['Brazil', 4.99, null, '1985-02-20T00:00:00.000Z', bytes])

        const [selected] = select(warmer.config, {})
        assert(selected !== undefined)
        const options = { sample: null, lastJob: null, nowMs: Date.now(), signal: new AbortController().signal }
        const same = await verify(warmer, selected, options)
        assertEquals([same.checked, same.same, same.error], [1, 1, null])

        const stored = (await servers.redis.get('film:1')) as string
        await servers.redis.set('film:1', stored.replace('Brazil', 'Brasil'), 'KEEPTTL')
        const other = await verify(warmer, selected, options)
        assertEquals([other.different, other.reasons], [1, { 'film:1': 'the value differs' }])
      })
    })
  }
})
