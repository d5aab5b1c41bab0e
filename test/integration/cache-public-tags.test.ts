import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { load, PrewarmError } from '../../src/index.ts'
import { commandsRun, listening, onOwnRedis } from '../support/public-cache.ts'
import type { RedisServer } from '../support/servers.ts'
import { until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }

describe('createCache: tags, and clear', () => {
  let _server: RedisServer
  let redis: Redis
  const desk = onOwnRedis((on) => {
    _server = on.server
    redis = on.redis
  })

  it('a tag ends all that bears it, on every instance, and nothing else', TIMEOUT, async () => {
    const [one, another] = [await desk.open(), await desk.open()]
    const odd = 'odd "tag"\n\\ é😀 {1}'
    await one.setMany([['a', 1], ['b', 2]], { tags: ['x', odd] }) // biome-ignore format: pairs
    await one.get('c', { load: () => 3, tags: [odd] })
    await one.set('d', 4, { tags: ['y'] })
    const keys = ['a', 'b', 'c', 'd']
    for (const cache of [one, another]) assertEquals([...(await cache.getMany(keys)).values()], [1, 2, 3, 4])
    await another.invalidateTags(odd)
    for (const cache of [one, another]) {
      await until(async () => (await cache.getMany(keys)).size === 1)
      assertEquals([await cache.get('d'), await cache.has('a')], [4, false])
    }
    await one.get('c', { load: () => 5, tags: [odd] })
    assertEquals(await another.get('c'), 5)
    await one.invalidateTags('y', 'unheard of')
    await until(async () => (await another.read('d')).status === 'miss')
  })

  it('invalidation costs the same whatever bears the tag', TIMEOUT, async () => {
    const costs: number[] = []
    const cache = await desk.open({ memory: false })
    // The server knows the script from here on.
    await cache.invalidateTags('another')
    for (const count of [10, 10_000]) {
      const keys = Array.from({ length: count }, (_, at) => `k:${count}:${at}`)
      await cache.setMany(keys.map((key) => [key, 1]), { tags: ['t'] }) // biome-ignore format: one call
      assertEquals((await cache.getMany(keys)).size, count)
      const [before, size] = [await commandsRun(redis), await redis.dbsize()]
      await cache.invalidateTags('t')
      costs.push((await commandsRun(redis)) - before)
      assertEquals(await redis.dbsize(), size)
      assertEquals((await cache.getMany(keys)).size, 0)
    }
    assert(costs[0] === costs[1] && (costs[0] as number) < 20, `commands: ${costs}`)
  })

  it('a text that only looks like one with tags is read as it is', TIMEOUT, async () => {
    const cache = await desk.open()
    for (const text of ['\u0001{}\n1', '\u0001{"t":"1"}\nx', '\u0001', '\u0001{']) {
      await cache.set('k', text)
      assertEquals(await (await desk.open()).get('k'), text)
    }
  })

  it('a hash can bear no tags; the message says what to do', TIMEOUT, async () => {
    const tasks = { h: load({ key: 'h:{n}', value: 'hash', load: (keys) => keys.map(() => ({ a: 1 })) }) }
    const cache = await desk.open({ config: { tasks } })
    for (const call of [() => cache.set('h:1', { a: 1 }, { tags: ['t'] }), () => cache.get('h:1', { tags: ['t'] })]) {
      const error = await assertRejects(call, PrewarmError)
      assertEquals(error.code, 'USAGE')
      assert(error.message.includes("'h:1'") && error.message.includes("use value 'json'"), error.message)
    }
  })

  it(
    'clear deletes what begins with the prefix, taken letter by letter, and never prewarm own records',
    TIMEOUT,
    async () => {
      const { told, observer } = listening()
      const cache = await desk.open({ observers: [observer] })
      const odd = ['a*b:1', 'a*b:2', 'axb:1', 'a[1]:1', 'a1:1', 'a?:1', 'ab:1', 'a\\*b:1', 'A*b:1']
      await cache.setMany(odd.map((key) => [key, 1]))
      const left = async (prefix: string) => {
        const deleted = await cache.clear(prefix)
        const found = [...(await cache.getMany(odd)).keys()]
        return [deleted, odd.filter((key) => !found.includes(key))]
      }
      assertEquals(await left('a*b:'), [2, ['a*b:1', 'a*b:2']])
      assertEquals(await left('a[1]'), [1, ['a*b:1', 'a*b:2', 'a[1]:1']])
      assertEquals(await left('a?'), [1, ['a*b:1', 'a*b:2', 'a[1]:1', 'a?:1']])
      assertEquals(await left('a\\'), [1, ['a*b:1', 'a*b:2', 'a[1]:1', 'a?:1', 'a\\*b:1']])
      assertEquals(await left('nothing'), [0, ['a*b:1', 'a*b:2', 'a[1]:1', 'a?:1', 'a\\*b:1']])
      assertEquals(told.invalidated, 5)
      const own = (await redis.keys('prewarm:*')).sort()
      assert(own.length > 0)
      assertEquals(await cache.clear('p'), 0)
      assertEquals((await redis.keys('prewarm:*')).sort(), own)
    },
  )

  it('clear ends what this process remembers as not there; delete does for all', TIMEOUT, async () => {
    const [one, another] = [await desk.open(), await desk.open()]
    const none = { load: () => null, negativeTtl: '10m' } as const
    const there = { load: () => 'there' }
    for (const cache of [one, another]) await cache.get('none', none)
    assertEquals(await one.clear('none'), 0)
    assertEquals(await one.get('none', there), 'there')
    await one.delete('none')

    await one.get('none', none)
    assertEquals(await another.clear('other'), 0)
    assertEquals((await another.read('none', there)).status, 'hit')
    await another.delete('none')
    assertEquals(await another.get('none', there), 'there')
  })

  it('clear of 5000 keys counts each once', TIMEOUT, async () => {
    const cache = await desk.open()
    await redis.mset(...Array.from({ length: 5000 }, (_, at) => [`many:${at}`, '1']).flat())
    assertEquals([await cache.clear('many:'), (await redis.keys('many:*')).length], [5000, 0])
  })
})
