import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { bucketKey, bucketOf, LAST_KEY } from '../../src/predict/buckets.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { DaemonMachine, SLOW } from './support.ts'

describe('a daemon’s snapshot', () => {
  let server: RedisServer
  let redis: Redis
  let machine: DaemonMachine
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  })
  beforeEach(async () => {
    await redis.flushall()
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
  })
  afterEach(() => machine.remove())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })
  const readOf = async (keys: readonly string[]) => {
    const scores = keys.flatMap((key, at) => [keys.length - at, key])
    await redis.zadd(bucketKey(bucketOf(Date.now())), ...scores)
    await redis.zadd(LAST_KEY, ...keys.flatMap((key) => [Date.now(), key]))
  }
  const hot = Array.from({ length: 40 }, (_, id) => `quick:${id}`)
  const stop = async () => assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')

  it('is saved at its end, and warmed at its next start, also after FLUSHALL', SLOW, async () => {
    machine.configure({ inside: `snapshot: { to: 'hot.ndjson', every: '1h', load: true }` })
    const file = join(machine.home, 'hot.ndjson')
    await machine.daemon()
    await readOf(hot)
    assertEquals([existsSync(file), await redis.exists('quick:1')], [false, 0])
    await stop()
    const text = readFileSync(file, 'utf8')
    assertEquals(text.split('\n').length, 42)

    await redis.flushall()
    const { log } = await machine.daemon()
    await until(async () => (await redis.exists(...hot)) === 40)
    assertEquals(await redis.exists('quick:40'), 0, 'only what was hot')
    await until(() => readFileSync(log, 'utf8').includes('snapshot'))
    // Nobody has read anything since: the list that would be needed again stays.
    await stop()
    assertEquals(readFileSync(file, 'utf8'), text)
    assert(readFileSync(log, 'utf8').includes('no hot key is known now'), readFileSync(log, 'utf8'))
  })

  it('is saved on its schedule, in Redis too', SLOW, async () => {
    machine.configure({ inside: `snapshot: { to: 'redis:hot', every: '1s' }` })
    await readOf(hot)
    await machine.daemon()
    await until(async () => (await redis.llen('prewarm:snapshot:hot')) === 41)
    await stop()
    assertEquals(await redis.keys('prewarm:snapshot:*'), ['prewarm:snapshot:hot'])
    assertEquals(await redis.keys('cache:warmup:lock*'), [])
  })

  it('of a Redis that is away, or that is broken, keeps no daemon from starting or ending', SLOW, async () => {
    machine.configure({ inside: `snapshot: { to: 'hot.ndjson', every: '1h', load: true }` })
    const file = join(machine.home, 'hot.ndjson')
    writeFileSync(file, 'broken\n')
    const { log } = await machine.daemon()
    await until(() => readFileSync(log, 'utf8').includes('hot.ndjson, line 1: expected'))
    server.pause()
    try {
      await stop()
    } finally {
      server.resume()
    }
    assertEquals(readFileSync(file, 'utf8'), 'broken\n')
  })
})
