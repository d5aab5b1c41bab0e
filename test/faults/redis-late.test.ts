import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import type { Encoded } from '../../src/codec/types.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { assertAccounted, numbered } from '../support/accounted.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { type StrandProxy, startStrandProxy } from '../support/strand-proxy.ts'
import { configFile, connect, runJob } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const KEYS = numbered('k', 20)
const select = 'select: () => Array.from({ length: 20 }, (_, at) => at + 1)'
const FILE = configFile(`maxOriginRps: 100000, backoffBaseMs: 10, tasks: {
  string0: load({ key: 'k:{id}', value: 'string', retries: 0, ${select}, load: (keys) => keys.map(() => 'ours') }),
  string3: load({ key: 'k:{id}', value: 'string', retries: 3, ${select}, load: (keys) => keys.map(() => 'ours') }),
  hash0: load({ key: 'k:{id}', value: 'hash', retries: 0, ${select}, load: (keys) => keys.map(() => ({ of: 'ours' })) }),
  hash3: load({ key: 'k:{id}', value: 'hash', retries: 3, ${select}, load: (keys) => keys.map(() => ({ of: 'ours' })) }) }`)
const ENCODED: Record<'string' | 'hash', Encoded> = {
  string: { type: 'string', value: 'x' },
  hash: { type: 'hash', fields: ['f', 'x'] },
}
/** The last key of every write. */
const WRITE = '\r\nprewarm:scratch\r\n'

describe('a write that is still on its way when its connection is lost', () => {
  let server: RedisServer
  let proxy: StrandProxy
  let redis: ReturnType<typeof connect>
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.flushall()
    await redis.config('RESETSTAT')
    proxy = await startStrandProxy(server.port)
  }, TIMEOUT)
  afterEach(() => proxy.stop(), TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const url = () => `redis://127.0.0.1:${proxy.port}`

  for (const kind of ['string', 'hash'] as const) {
    it(`never arrives after its keys were said to have failed (${kind})`, TIMEOUT, async () => {
      proxy.strandAt(WRITE)
      const result = await runJob({ file: FILE, workers: 0, redisUrl: url() }, { tasks: [`${kind}0`] })
      assertEquals([result.status, result.keys.failed], ['failed', 20], JSON.stringify(result.tasks))
      assertEquals(result.tasks[0]?.firstError?.code, 'WRITE_UNCONFIRMED')
      await proxy.deliver()
      await assertAccounted(result, redis, KEYS)
      assertEquals(await redis.dbsize(), 0)
    })

    it(`never replaces what somebody else has written since (${kind})`, TIMEOUT, async () => {
      proxy.strandAt(WRITE)
      const result = await runJob({ file: FILE, workers: 0, redisUrl: url() }, { tasks: [`${kind}3`] })
      assertEquals([result.status, result.keys.written], ['success', 20], JSON.stringify(result.tasks))
      for (const key of KEYS) await redis.set(key, 'newer', 'PX', 60_000)
      await proxy.deliver()
      await assertAccounted(result, redis, KEYS, { holds: () => 'newer' })
    })

    it(`is not sent again by the store itself (${kind})`, TIMEOUT, async () => {
      const store = new RedisStore({ url: url(), clock: systemClock(currentRuntime().nowNs) })
      try {
        await store.connect(5000)
        proxy.strandAt(WRITE)
        const { signal } = new AbortController()
        const encoded = ENCODED[kind]
        const { outcomes, failures } = await store.write(
          KEYS.map((key) => ({ key, ttlMs: 60_000, encoded })),
          { mode: 'overwrite', versionField: null, timeoutMs: 5000, signal },
        )
        assert(outcomes.every((outcome) => outcome === 'failed'))
        assert([...failures.values()].every((one) => one.retryable && one.failure.code === 'WRITE_UNCONFIRMED'))
        const calls = /cmdstat_(evalsha|set):/.exec(await redis.info('commandstats'))
        assertEquals([calls, await redis.dbsize()], [null, 0])
      } finally {
        await store.close()
      }
    })
  }
})
