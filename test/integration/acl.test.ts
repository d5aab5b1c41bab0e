import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { Redis } from 'ioredis'
import { createCache, createWarmer, defineConfig, load } from '../../src/index.ts'
import { noteReads, windowAgo } from '../support/access-log.ts'
import { until } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { ROOT } from '../support/source.ts'

const TIMEOUT = { timeout: 60_000 }

describe('a user that may only do what .github/OPERATIONS.md says', () => {
  let server: RedisServer
  let admin: Redis
  before(async () => {
    server = await startRedisServer()
    admin = new Redis(server.url)
    const text = readFileSync(join(ROOT, '.github', 'OPERATIONS.md'), 'utf8')
    const [name = '', ...args] = /^ACL SETUSER[\s\S]+?(?=```)/m.exec(text)?.[0].trim().split(/\s+/) ?? []
    await admin.call(name, ...args)
  }, TIMEOUT)
  after(async () => {
    admin.disconnect()
    await server.stop()
  }, TIMEOUT)

  it('warms as a service, and reads, writes and hears through a cache', TIMEOUT, async () => {
    const redis = server.url.replace('redis://', 'redis://prewarm:secret@')
    const values = (keys: string[]) => new Map(keys.map((key) => [key, { key, n: 1 }]))
    const select = () => [1, 2, 3]
    const config = defineConfig({
      redis,
      tasks: {
        texts: load({ key: 't:{id}', select, load: values }),
        hashes: load({ key: 'h:{id}', value: 'hash', select, load: values }),
        versions: load({ key: 'v:{id}', version: 'n', select, load: values }),
      },
    })
    await using warmer = await createWarmer({ config, env: {}, service: true })
    await warmer.start()
    const warm = async () => {
      const { status, keys } = await warmer.submit({}).result
      assertEquals([status, keys.written], ['success', 9])
    }
    await warm()
    await using cache = await createCache({ warmer, redisTimeout: '5s' })
    await using other = await createCache({ redis, env: {}, redisTimeout: '5s' })
    const tiers = await Promise.all(['t:1', 'h:1', 'v:1'].map(async (key) => (await cache.read(key)).tier))
    assertEquals(tiers, ['redis', 'redis', 'redis'])
    assertEquals((await cache.getMany(['t:1', 't:2', 't:3', 't:4', 't:5'])).size, 5)
    await cache.set('k', 1, { tags: ['tag'], version: 1 })
    assertEquals([await other.get('k'), (await other.read('k')).tier], [1, 'memory'])
    await cache.invalidateTags('tag')
    await until(async () => (await other.get('k')) === undefined)
    assertEquals(await cache.get('none', { load: () => null }), undefined)
    assertEquals([await cache.delete('t:1'), await cache.clear('h:')], [1, 3])
    await warm()
    await warmer.clear({ task: 'texts' }, { dryRun: false, signal: new AbortController().signal })
    await warmer.getWarmingPerformance()
    await noteReads(admin, windowAgo(7), { 't:1': 5 })
    assertEquals((await warmer.predictHotKeys(60_000, 1))[0]?.key, 't:1')
    assertEquals((await warmer.prediction()).windows > 0, true)
    await warmer.optimizeSchedules({ apply: true })
    await warmer.optimizeSchedules({ revert: true })
    assertEquals(await refused(), [])
  })

  it('learns from Redis, and looks at what it holds where it is full', TIMEOUT, async () => {
    const redis = server.url.replace('redis://', 'redis://prewarm:secret@')
    await admin.call('ACL', 'SETUSER', 'prewarm', '+config|get')
    await admin.mset(Array.from({ length: 3000 }, (_, at) => [`f:${at}`, 'x'.repeat(900)]).flat())
    const used = /^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1]
    await admin.config('SET', 'maxmemory', Number(used))
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const notices: string[] = []
    const config = defineConfig({
      redis,
      snapshot: { to: 'redis:hot' },
      tasks: {
        more: load({
          key: 'm:{id}',
          select: () => Array.from({ length: 500 }, (_, id) => id),
          load: (keys) => new Map(keys.map((key) => [key, key.repeat(300)])),
        }),
      },
    })
    await noteReads(admin, Date.now(), Object.fromEntries(Array.from({ length: 9 }, (_, id) => [`m:${id}`, 1000])))
    await using warmer = await createWarmer({ config, env: {}, onNotice: (text) => notices.push(text) })
    const { status, memory } = await warmer.submit({}).result
    assertEquals([status, (memory?.leftOut ?? 0) > 0, notices], ['partial', true, []])
    assertEquals((await warmer.store.heatOf(['f:1'])).keys.length, 1)
    const { keys } = await warmer.snapshots.save()
    assertEquals([keys > 0, (await warmer.snapshots.read()).entries.length], [true, keys])
    assertEquals(await refused(), [])
  })

  const refused = async () =>
    ((await admin.acl('LOG')) as unknown[]).filter((one) => JSON.stringify(one).includes('prewarm'))
})
