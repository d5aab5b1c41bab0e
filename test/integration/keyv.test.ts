import process from 'node:process'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { createCache } from 'cache-manager'
import type { Redis } from 'ioredis'
import { Keyv, type KeyvOptions } from 'keyv'
import { CommandsLink } from '../../src/adapters/commands-link.ts'
import { KeyvPrewarm } from '../../src/adapters/keyv.ts'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { defineConfig, load } from '../../src/index.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, runJob } from '../support/warming.ts'

describe('KeyvPrewarm', { timeout: 60_000 }, () => {
  let server: RedisServer
  let redis: Redis
  const stores: KeyvPrewarm[] = []
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(() => redis.flushall())
  after(async () => {
    await Promise.all(stores.map((store) => store.disconnect()))
    redis.disconnect()
    await server.stop()
  })

  function storeOf(namespace?: string, url = server.url): KeyvPrewarm {
    const store = new KeyvPrewarm({ redis: url, namespace })
    stores.push(store)
    return store
  }

  /** A Keyv whose errors are collected. */
  function keyvOf(store: KeyvPrewarm, options: Omit<KeyvOptions, 'store'> = {}) {
    const keyv = new Keyv(store, options)
    const errors: unknown[] = []
    keyv.on('error', (error) => errors.push(error))
    return { keyv, errors }
  }

  const codesOf = (errors: unknown[]) => errors.map((error) => (error as { code?: string }).code)

  async function keysInRedis(): Promise<string[]> {
    return (await redis.keys('*')).filter((key) => !key.startsWith('prewarm:')).sort()
  }

  it('keeps entries under namespace, Keyv’s namespace, key', async () => {
    await keyvOf(storeOf()).keyv.set('a', 1)
    await keyvOf(storeOf('app')).keyv.set('a', 1)
    await keyvOf(storeOf('app'), { namespace: '', useKeyPrefix: false }).keyv.set('a', 1)
    assertEquals(await keysInRedis(), ['app:a', 'app:keyv:a', 'keyv:a'])
    assertEquals(await redis.get('app:a'), '{"value":1}')
  })

  it('is lazy: nothing connects before the first call', async () => {
    const { keyv } = keyvOf(storeOf())
    const names = async () => String(await redis.client('LIST')).match(/name=prewarm\S*/g) ?? []
    const before = (await names()).length
    await keyv.get('a')
    assertEquals((await names()).length, before + 1)
  })

  it('expires entries, and without a ttl keeps them for years', async () => {
    const { keyv } = keyvOf(storeOf())
    await keyv.set('a', 1, 60_000)
    await keyv.set('b', 1)
    await keyv.set('c', 1, 5)
    const [a, b] = [await redis.pttl('keyv:a'), await redis.pttl('keyv:b')]
    assert(a > 30_000 && a <= 60_000, `${a}`)
    assert(b > 9 * 365 * 86_400_000, `${b}`)
    while ((await redis.exists('keyv:c')) === 1) await new Promise((resolve) => setTimeout(resolve, 5))
    assertEquals([await keyv.get('c'), await keyv.has('c')], [undefined, false])
  })

  it('reads and writes many in one script each', async () => {
    const { keyv } = keyvOf(storeOf())
    const keys = Array.from({ length: 200 }, (_, at) => `k${at}`)
    await keyv.get('a') // the scripts that it needs are known now
    await keyv.setMany([{ key: 'a', value: 0 }])
    await redis.config('RESETSTAT')
    assertEquals(
      await keyv.setMany(keys.map((key, value) => ({ key, value }))),
      keys.map(() => true),
    )
    assertEquals(
      await keyv.getMany(keys),
      keys.map((_, at) => at),
    )
    assertEquals(await keyv.hasMany(['k1', 'x', 'k3']), [true, false, true])
    assertEquals(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1], '3')
    assertEquals(await keyv.deleteMany(['k1', 'x']), true)
    assertEquals(await keyv.deleteMany(['k1', 'x']), false)
  })

  it('clears its namespace by SCAN, and nothing else', async () => {
    const { keyv } = keyvOf(storeOf(), { namespace: 'a*[b]' })
    const other = keyvOf(storeOf(), { namespace: 'aX' }).keyv
    await keyv.setMany(Array.from({ length: 3000 }, (_, at) => ({ key: `k${at}`, value: at })))
    await other.set('k', 1)
    await redis.mset('b', '1', 'a*[b]', '1', 'aYb:c', '1')
    await redis.config('RESETSTAT')
    await keyv.clear()
    const stats = await redis.info('commandstats')
    assert(!/cmdstat_(keys|flushdb|flushall):/.test(stats) && stats.includes('cmdstat_scan:'), stats)
    assertEquals(await keysInRedis(), ['a*[b]', 'aX:k', 'aYb:c', 'b'])
  })

  it('refuses to clear where it can’t know what is Keyv’s', async () => {
    const bare = keyvOf(storeOf(), { namespace: '', useKeyPrefix: false })
    await redis.set('a', 'somebody else’s')
    await bare.keyv.clear()
    assertEquals(codesOf(bare.errors), ['USAGE'])
    const shared = storeOf()
    const one = keyvOf(shared, { namespace: 'one' })
    const two = keyvOf(shared, { namespace: 'two' })
    await two.keyv.set('a', 2)
    await one.keyv.set('a', 1)
    await one.keyv.clear() // would delete the entries of `two`, whose namespace the store has now
    assertEquals(codesOf(one.errors), ['USAGE'])
    assertEquals([await two.keyv.get('a'), await redis.get('a')], [2, 'somebody else’s'])
  })

  it('refuses keys of prewarm’s own', async () => {
    const { keyv, errors } = keyvOf(storeOf(), { namespace: 'prewarm' })
    assertEquals(await keyv.set('changes', 1), false)
    assertEquals(codesOf(errors), ['KEY_INVALID'])
  })

  it('iterates over its namespace', async () => {
    const { keyv } = keyvOf(storeOf('app'))
    await keyvOf(storeOf('other')).keyv.set('x', 1)
    await keyv.setMany(Array.from({ length: 600 }, (_, at) => ({ key: `k:${at}`, value: at })))
    const found = new Map<string, number>()
    for await (const [key, value] of keyv.iterator?.(undefined) ?? []) found.set(key, value)
    assertEquals(found, new Map(Array.from({ length: 600 }, (_, at) => [`k:${at}`, at])))
  })

  it('takes any text, and nothing that is no text', async () => {
    const store = storeOf()
    for (const text of ['', '\u0001{"tag":"1"}\nx', '\u0001', 'ü😀\u0000\r\n']) {
      await store.set('k', text)
      assertEquals(await store.get('k'), text)
    }
    await redis.del('hash')
    await redis.hset('hash', 'field', '1')
    assertEquals([await store.get('hash'), await store.has('hash')], [undefined, false])
    const { keyv, errors } = keyvOf(storeOf(), { serialize: undefined as never })
    assertEquals(await keyv.set('k', { a: 1 }), false)
    assertEquals(codesOf(errors), ['VALUE_INVALID'])
  })

  it('counts as a change: what was loaded before is refused', async () => {
    const commands = new RedisCommands({ url: server.url, clock: systemClock(() => performance.now() * 1e6) })
    const tier = new RedisTier({ link: new CommandsLink(commands), leaseMs: 5000, random: Math.random })
    const { keyv } = keyvOf(storeOf())
    const changes: [string, () => Promise<unknown>][] = [
      ['set', () => keyv.set('a', 'new')],
      ['setMany', () => keyv.setMany([{ key: 'a', value: 'new' }])],
      ['delete', () => keyv.delete('a')],
      ['deleteMany', () => keyv.deleteMany(['a'])],
      ['clear', () => keyv.clear()],
    ]
    for (const [name, change] of changes) {
      await keyv.set('a', 'old')
      const lease = await tier.ticket()
      await change()
      const fill = { key: 'keyv:a', encoded: { type: 'string' as const, value: '{"value":"old"}' }, ttlMs: 60_000 }
      const [filled] = await tier.fill([fill], { lease, replace: true, filledBy: 'read' })
      assertEquals([name, filled?.outcome], [name, 'skipped_newer'])
      assert((await keyv.get('a')) !== 'old', name)
    }
    await commands.close()
  })

  it('hits what a task with value ‘keyv’ warmed; so do cache-manager’s users', async () => {
    const films = new Map([1, 2, 3].map((id) => [`keyv:film:${id}`, { id, title: `Film ${id}` }]))
    const config = defineConfig({
      redis: server.url,
      tasks: {
        films: load({
          key: 'keyv:film:{id}',
          value: 'keyv',
          select: () => [1, 2, 3].map((id) => ({ id })),
          load: () => films,
        }),
      },
    })
    const { keyv } = keyvOf(storeOf())
    assertEquals(await keyv.get('film:2'), undefined)
    const result = await runJob({ config })
    assertEquals([result.status, result.keys.written], ['success', 3])
    assertEquals(await keyv.get('film:2'), films.get('keyv:film:2'))
    const manager = createCache({ stores: [new Keyv(storeOf())] })
    const loaded = await manager.wrap('film:3', () => Promise.reject(new Error('it was not warm')))
    assertEquals(loaded, films.get('keyv:film:3'))
  })

  it('answers reads without Redis as misses, tells of writes, and of each error once', async () => {
    const url = `redis://user:secret@127.0.0.1:${await freePort()}`
    const unhandled: unknown[] = []
    const hear = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', hear)
    const { keyv, errors } = keyvOf(storeOf(undefined, url))
    const told = async (work: Promise<unknown>) => [await work, codesOf(errors.splice(0))]
    const gone = ['STORE_UNREACHABLE']
    assertEquals(await told(keyv.get('a')), [undefined, gone])
    assertEquals(await told(keyv.getMany(['a', 'b'])), [[undefined, undefined], gone])
    assertEquals(await told(keyv.has('a')), [false, gone])
    assertEquals(await told(keyv.hasMany(['a', 'b'])), [[false, false], gone])
    assertEquals(await told(keyv.set('a', 1)), [false, gone])
    assertEquals(await told(keyv.setMany([{ key: 'a', value: 1 }])), [[false], gone])
    assertEquals(await told(keyv.delete('a')), [false, gone])
    assertEquals(await told(keyv.deleteMany(['a'])), [false, gone])
    assertEquals(await told(keyv.clear()), [undefined, gone])
    const strict = keyvOf(storeOf(undefined, url), { throwOnErrors: true })
    for (const work of [strict.keyv.get('a'), strict.keyv.set('a', 1), strict.keyv.delete('a'), strict.keyv.clear()]) {
      const error = await assertRejects(() => work)
      assertEquals(codesOf([error]), gone)
      assert(!String(error).includes('secret'), String(error))
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    process.off('unhandledRejection', hear)
    assertEquals(unhandled, [])
  })

  it('goes on after Redis was lost', async () => {
    const { keyv, errors } = keyvOf(storeOf())
    await keyv.set('a', 1)
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    while ((await keyv.get('a')) !== 1) await new Promise((resolve) => setTimeout(resolve, 10))
    assert(
      codesOf(errors).every((code) => code === 'STORE_UNREACHABLE'),
      String(errors),
    )
  })

  it('closes for good, twice without harm', async () => {
    const { keyv, errors } = keyvOf(storeOf())
    await keyv.set('a', 1)
    await Promise.all([keyv.disconnect(), keyv.disconnect()])
    assertEquals([await keyv.get('a'), codesOf(errors)], [undefined, ['STORE_UNREACHABLE']])
  })

  it('refuses wrong options', () => {
    for (const options of [{}, { redis: 'localhost' }, { redis: server.url, namespace: '' }]) {
      try {
        new KeyvPrewarm(options as never)
      } catch (error) {
        assertEquals(codesOf([error]), ['USAGE'])
        continue
      }
      throw new Error(`it took ${JSON.stringify(options)}`)
    }
  })
})
