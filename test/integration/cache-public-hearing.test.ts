import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import { type Cache, load } from '../../src/index.ts'
import { connectionsOf, heldLoads, onOwnRedis } from '../support/public-cache.ts'
import type { RedisServer } from '../support/servers.ts'
import { connect, runJob, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
/** So long that whatever was not heard of would be served until the test has failed. */
const LONG = { memory: { ttl: '10m' }, defaultTtl: '1h', refreshAhead: 0 } as const

describe('createCache hears in memory of what others change', () => {
  let server: RedisServer
  let redis: Redis
  const desk = onOwnRedis(async (on) => {
    server = on.server
    redis = on.redis
    // All that an application may need but tracking.
    await redis.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking')
  })

  const untracked = () => `redis://app:secret@127.0.0.1:${server.port}`
  /** In memory for good, if nothing is heard. */
  const keep = async (cache: Cache, key: string, value: unknown) => {
    await until(async () => (await cache.read(key)).tier === 'memory')
    assertEquals(await cache.get(key), value)
  }
  const gone = (cache: Cache, key: string) => until(async () => (await cache.read(key)).status === 'miss')
  const becomes = (cache: Cache, key: string, value: unknown) => until(async () => (await cache.get(key)) === value)

  const byOtherCaches = async (writer: Cache, reader: Cache) => {
    const fill = async () => {
      for (const key of ['w', 'd', 'p:1', 'p:2']) await writer.set(key, 'old')
      await writer.set('t', 'old', { tags: ['tag'] })
      for (const key of ['w', 'd', 'p:1', 'p:2', 't']) await keep(reader, key, 'old')
    }
    await fill()
    await writer.set('w', 'new')
    await becomes(reader, 'w', 'new')
    await writer.setMany([['w', 'newest']])
    await becomes(reader, 'w', 'newest')
    await writer.delete('d')
    await gone(reader, 'd')
    await writer.invalidateTags('tag')
    await gone(reader, 't')
    assertEquals(await writer.clear('p:'), 2)
    await gone(reader, 'p:1')
    await gone(reader, 'p:2')

    await reader.get('negative', { load: () => undefined, negativeTtl: '10m' })
    assertEquals((await reader.read('negative')).tier, 'memory')
    await writer.set('negative', 'there')
    await becomes(reader, 'negative', 'there')
    await writer.get('w', { load: () => 'loaded', fresh: true })
    await becomes(reader, 'w', 'loaded')
  }

  it('by another cache: write, delete, tag, clear, a load over what is there', TIMEOUT, async () => {
    await byOtherCaches(await desk.open(LONG), await desk.open(LONG))
  })

  it('of an embedded server, too', TIMEOUT, async () => {
    const embedded = await startEmbeddedRedis()
    try {
      const [writer, reader] = [
        await desk.open({ ...LONG, redis: embedded.url }),
        await desk.open({ ...LONG, redis: embedded.url }),
      ]
      await byOtherCaches(writer, reader)
      const other = connect(embedded.url)
      await other.set('k', '"old"')
      await keep(reader, 'k', 'old')
      await other.set('k', '"new"')
      await becomes(reader, 'k', 'new')
      other.disconnect()
    } finally {
      await desk.closeAll()
      await embedded.stop()
    }
  })

  it('by other programs: SET, DEL, PEXPIRE, RENAME, FLUSHALL, a warm-up', TIMEOUT, async () => {
    const reader = await desk.open(LONG)
    await redis.set('k', '"old"')
    await keep(reader, 'k', 'old')
    await redis.set('k', '"new"')
    await becomes(reader, 'k', 'new')
    await keep(reader, 'k', 'new')
    await redis.set('another', '"renamed"')
    await redis.rename('another', 'k')
    await becomes(reader, 'k', 'renamed')
    await keep(reader, 'k', 'renamed')
    await redis.del('k')
    await gone(reader, 'k')

    await redis.set('k', '"old"')
    await keep(reader, 'k', 'old')
    const tasks = { k: load({ key: 'k', select: () => ['k'], load: () => ['warmed'] }) }
    await runJob({ config: { tasks }, redisUrl: server.url, databaseUrl: 'postgres://nowhere' })
    await becomes(reader, 'k', 'warmed')
    await keep(reader, 'k', 'warmed')
    await redis.pexpire('k', 1)
    await gone(reader, 'k')

    await redis.mset('a', '1', 'b', '2')
    await keep(reader, 'a', 1)
    await keep(reader, 'b', 2)
    await redis.flushall()
    await gone(reader, 'a')
    await gone(reader, 'b')
  })

  it('where the server allows no tracking: by other caches; by other programs after the ttl', TIMEOUT, async () => {
    const [writer, reader] = [
      await desk.open({ ...LONG, redis: untracked() }),
      await desk.open({ ...LONG, redis: untracked() }),
    ]
    await byOtherCaches(writer, reader)
    // One that is told by the server and one that is told by caches hear each other.
    const tracking = await desk.open(LONG)
    await byOtherCaches(tracking, reader)
    await byOtherCaches(writer, tracking)

    const brief = await desk.open({ ...LONG, redis: untracked(), memory: { ttl: 1000 } })
    await redis.set('k', '"old"')
    await keep(brief, 'k', 'old')
    await keep(reader, 'k', 'old')
    await redis.set('k', '"new"')
    await becomes(brief, 'k', 'new')
    assertEquals((await reader.read('k')).value, 'old')
  })

  for (const name of ['prewarm-cache', 'prewarm-cache-ear'] as const) {
    for (const how of ['tracking', 'published'] as const) {
      it(`${name} is lost (${how}): memory is emptied, and works again`, TIMEOUT, async () => {
        const reader = await desk.open({ ...LONG, ...(how === 'tracking' ? {} : { redis: untracked() }) })
        for (const key of ['k:1', 'k:2', 'k:3']) {
          await redis.set(key, '"old"')
          await keep(reader, key, 'old')
          const [id = ''] = await connectionsOf(redis, name)
          // In one step: nobody is there to be told of the change.
          const change = redis.multi().call('CLIENT', 'KILL', 'ID', id)
          await change.set(key, '"new"').exec()
          await becomes(reader, key, 'new')
          await keep(reader, key, 'new')
        }
        const writer = await desk.open(LONG)
        await writer.set('k:3', 'heard')
        await becomes(reader, 'k:3', 'heard')
      })
    }
  }

  it('an answer that was on its way when its key was changed is not kept', TIMEOUT, async () => {
    const [writer, reader] = [await desk.open(LONG), await desk.open(LONG)]
    const held = heldLoads<string>()
    const reading = reader.get('k', { load: held.load })
    await held.begun(1)
    await writer.set('k', 'new')
    held.answer('old')
    assertEquals(await reading, 'old')
    assertEquals([await reader.get('k'), await redis.get('k')], ['new', '"new"'])
  })
})
