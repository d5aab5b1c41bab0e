import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import { BUCKET_MS } from '../../src/predict/buckets.ts'
import { noteReads, windowAgo } from '../support/access-log.ts'
import { freePort, type RedisServer, startRedisServer } from '../support/servers.ts'
import { CONFIG, Machine } from './support.ts'

const WINDOW = 900_000
const DATABASE = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }

describe('prewarm predict', () => {
  const machine = new Machine()
  let server: RedisServer
  let redis: Redis

  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
  })
  beforeEach(async () => {
    // Nobody asks it; without one an embedded database would be started.
    machine.env = { ...DATABASE, REDIS_URL: server.url }
    await redis.flushall()
  })
  after(async () => {
    redis.disconnect()
    await server.stop()
    machine.remove()
  })

  /** Reads in each of the last five windows of a quarter of an hour, and in this one. */
  async function noteAll(): Promise<void> {
    const now = Math.floor(windowAgo(0) / WINDOW) * WINDOW
    for (let ago = 5; ago > 0; ago--) await noteReads(redis, now - ago * WINDOW, { 'doc:1': 9, [`doc:${1 + ago}`]: 1 })
    await noteReads(redis, now - WINDOW + BUCKET_MS, { 'other:1': 3 })
  }

  it('says so where no reads are known of', async () => {
    const { code, stdout } = await machine.run('predict', '--config', CONFIG)
    assertEquals(code, 0)
    assertStringIncludes(stdout, 'no reads are known of')
    const { answer } = await machine.json('predict', '--config', CONFIG)
    assertEquals(answer, {
      ...{ predictor: 'learned', windowMs: WINDOW, learnedUntil: null, windows: 0, keys: [], scores: [] },
    })
  })

  it('shows the hottest keys, why, and their tasks, and goes on where it has left off', async () => {
    await noteAll()
    const { code, answer } = await machine.json('predict', '--limit', '3', '--config', CONFIG)
    assertEquals([code, answer.predictor, answer.keys.length], [0, 'learned', 3])
    const [first] = answer.keys
    assertEquals(
      [first.key, first.task, typeof first.score, typeof first.reason],
      ['doc:1', 'docs', 'number', 'string'],
    )
    const other = answer.keys.find(({ key }: { key: string }) => key === 'other:1')
    assertEquals(other?.task, null)
    assert(answer.windows >= 4 && answer.learnedUntil !== null)
    assertEquals(answer.scores.length, 5)
    await redis.del(...(await redis.keys('prewarm:access:*')))
    const { stdout } = await machine.run('predict', '--config', CONFIG)
    for (const text of ['learned: learned from', 'doc:1', 'docs', 'of all reads']) assertStringIncludes(stdout, text)
  })

  it('predicts by what is asked for', async () => {
    await noteAll()
    const { answer } = await machine.json('predict', '--predictor', 'frequency', '--limit', '1', '--config', CONFIG)
    assertEquals([answer.predictor, answer.keys[0].key, answer.keys[0].score], ['frequency', 'doc:1', 45])
  })

  const refused: [args: string[], text: string][] = [
    [['--predictor', 'best'], '--predictor'],
    [['--limit', '0'], '--limit'],
    [['--predictor', 'onnx'], 'prediction.model'],
  ]
  for (const [args, text] of refused)
    it(`refuses ${args.join(' ')}`, async () => {
      const { code, stderr, stdout } = await machine.run('predict', ...args, '--config', CONFIG)
      assertEquals([code, stdout], [2, ''])
      assertStringIncludes(stderr, text)
    })

  it('needs a Redis, and tells when it is away', async () => {
    machine.env = { ...DATABASE }
    const none = await machine.run('predict', '--config', CONFIG)
    assertEquals(none.code, 2)
    assertStringIncludes(none.stderr, 'No Redis is configured')
    machine.env = { ...DATABASE, REDIS_URL: `redis://127.0.0.1:${await freePort()}` }
    assertEquals((await machine.run('predict', '--config', CONFIG)).code, 3)
  })
})
