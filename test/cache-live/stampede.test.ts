import { after, afterEach, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { LOADING, type ReaderOrder } from './fixtures/reader.ts'
import { allReady, endAll, loadsOf, type Reader, startReader } from './support.ts'

const TIMEOUT = { timeout: 180_000 }
const READERS = 20
const KEYS = Array.from({ length: 100 }, (_, at) => `cold:${at}`)
/**
 * Twenty processes share two cores or so: none of them is to take Redis for slow because it had to wait for its turn, nor
 * another one for dead. Then a reader goes to the origin by itself, as it should.
 */
const PATIENT = { redisTimeout: '2m', waitTime: '2m', loadTimeout: '2m' }
/** Of one who will not end its loads, all of which have begun: the others wait for its leases, twice as long and a second. */
const DOOMED = { ...PATIENT, loadTimeout: '4s', maxLoads: KEYS.length }

describe('processes that read the same cold keys at the same instant', () => {
  let server: RedisServer
  let redis: Redis
  let readers: Reader[] = []
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  afterEach(async () => {
    await endAll(readers)
    readers = []
    await redis.flushall()
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  const order = (changes: Partial<ReaderOrder> = {}): ReaderOrder => ({
    redisUrl: server.url,
    keys: KEYS,
    how: 'get',
    channel: 'go',
    loadMs: [50, 300],
    cache: PATIENT,
    ...changes,
  })
  const start = (count: number, changes: Partial<ReaderOrder> = {}): Reader[] => {
    const started = Array.from({ length: count }, () => startReader(order(changes)))
    readers.push(...started)
    return started
  }

  /** All got the value of one and the same load of each key, and it is the one in Redis. */
  const expectOneLoad = async (among: readonly Reader[], load: number): Promise<void> => {
    for (const values of await Promise.all(among.map(({ done }) => done))) {
      assertEquals(values, Object.fromEntries(KEYS.map((key) => [key, { key, load }])))
    }
    const held = (await redis.mget(KEYS)).map((text) => JSON.parse(text ?? 'null'))
    assertEquals(
      held,
      KEYS.map((key) => ({ key, load })),
    )
  }

  for (const how of ['get', 'getMany'] as const) {
    it(`load each key exactly once (${how})`, TIMEOUT, async () => {
      const all = start(READERS, { how })
      await allReady(redis, READERS)
      assertEquals(await redis.publish('go', ''), READERS)
      await expectOneLoad(all, 1)
      assertEquals(
        await loadsOf(redis, KEYS),
        KEYS.map(() => 1),
      )
    })
  }

  it('load each key exactly once also where each process reads them in an order of its own', TIMEOUT, async () => {
    const all: Reader[] = []
    for (let turn = 0; turn < READERS; turn++) {
      const at = (turn * KEYS.length) / READERS
      all.push(...start(1, { keys: [...KEYS.slice(at), ...KEYS.slice(0, at)] }))
    }
    await allReady(redis, READERS)
    await redis.publish('go', '')
    await expectOneLoad(all, 1)
    assertEquals(
      await loadsOf(redis, KEYS),
      KEYS.map(() => 1),
    )
  })

  it('do not wait for ever for one that was killed while it loaded: another loads', TIMEOUT, async () => {
    const others = start(READERS - 1)
    await allReady(redis, READERS - 1)
    const [killed] = start(1, { channel: 'first', loadMs: null, cache: DOOMED }) as [Reader]
    await allReady(redis, 1)
    await redis.publish('first', '')
    await until(async () => (await loadsOf(redis, KEYS)).every((loads) => loads === 1))
    await redis.publish('go', '')
    await until(() => others.every(({ isReading }) => isReading))
    killed.child.kill('SIGKILL')
    await expectOneLoad(others, 2)
    assertEquals(
      await loadsOf(redis, KEYS),
      KEYS.map(() => 2),
    )
  })

  it('do not wait for ever for one that sleeps, whose late values then replace nothing', TIMEOUT, async () => {
    const others = start(READERS - 1)
    await allReady(redis, READERS - 1)
    const [sleeper] = start(1, { channel: 'first', loadMs: [2000, 2500], cache: DOOMED }) as [Reader]
    await allReady(redis, 1)
    await redis.publish('first', '')
    // Not before it waits for each value: a load that only begins to when it wakes up is over its time by then.
    await until(async () => Number(await redis.get(LOADING)) === KEYS.length)
    sleeper.child.kill('SIGSTOP')
    assertEquals(
      await loadsOf(redis, KEYS),
      KEYS.map(() => 1),
    )

    await redis.publish('go', '')
    await expectOneLoad(others, 2)

    sleeper.child.kill('SIGCONT')
    const late = await sleeper.done
    for (const key of KEYS) assertEquals(late[key]?.key, key)
    // What it had loaded before it slept was refused.
    await expectOneLoad(others, 2)
    assert((await loadsOf(redis, KEYS)).every((loads) => loads === 2))
  })

  it('all get their values while one of those that wait sleeps', TIMEOUT, async () => {
    const all = start(READERS)
    await allReady(redis, READERS)
    const sleeper = all[READERS - 1] as Reader
    sleeper.child.kill('SIGSTOP')
    await redis.publish('go', '')
    await expectOneLoad(all.slice(0, -1), 1)
    sleeper.child.kill('SIGCONT')
    await expectOneLoad(all, 1)
    assertEquals(
      await loadsOf(redis, KEYS),
      KEYS.map(() => 1),
    )
  })
})
