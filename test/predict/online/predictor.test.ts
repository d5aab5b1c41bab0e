import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../../src/errors.ts'
import { BUCKET_MS } from '../../../src/predict/buckets.ts'
import { FEATURES } from '../../../src/predict/onnx-features.ts'
import type { OutsideModel } from '../../../src/predict/types.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { FakeRedis, foldsBy, instance, START, WINDOW } from './support.ts'

const at = (windows: number, lateMs = 15_000) => new FakeClock(START + windows * WINDOW + lateMs)

describe('OnlinePredictor', () => {
  it('knows nothing where nothing was read', async () => {
    const { predictor } = instance()
    assertEquals(await predictor.predict({ limit: 9 }), [])
  })

  it('goes by what was read before the first window has ended', async () => {
    const redis = new FakeRedis()
    redis.read(START + BUCKET_MS, { a: 1, b: 3 })
    const { predictor, folded } = instance(redis, { clock: new FakeClock(START + 2 * BUCKET_MS) })
    const hot = await predictor.predict({ limit: 9 })
    assertEquals(
      [hot.map(({ key, score }) => [key, score]), folded],
      [
        [
          ['b', 3],
          ['a', 1],
        ],
        [],
      ],
    )
  })

  it('adds what was read since to what it has learned, and nothing twice', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 8 })
    redis.read(START + WINDOW, { b: 3 })
    redis.read(START + 2 * WINDOW, { a: 1, c: 2 })
    const { predictor, folded } = instance(redis, { clock: at(2, BUCKET_MS) })
    const hot = await predictor.predict({ limit: 9 })
    assertEquals(folded, [START + WINDOW, START + 2 * WINDOW])
    assertEquals(
      hot.map(({ key, score, reason }) => [key, score, reason]),
      [
        ['a', 5, 'learned 5'],
        ['b', 3, 'learned 3'],
        ['c', 2, 'learned 2'],
      ],
    )
    assertEquals(await predictor.predict({ limit: 1 }), hot.slice(0, 1))
    assertEquals(await predictor.predict({ limit: -1 }), [])
  })

  it('tells scores that are expected reads for the time that is asked for, others as they are', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 6 })
    const { predictor } = instance(redis, { clock: at(1) })
    const score = async (name: 'learned' | 'decayed' | 'heuristic' | 'frequency' | 'recency', windowMs?: number) =>
      (await predictor.predict({ limit: 1, predictor: name, ...(windowMs === undefined ? {} : { windowMs }) }))[0]
        ?.score
    assertEquals(
      [await score('learned'), await score('learned', 4 * WINDOW), await score('decayed', WINDOW / 2)],
      [6, 24, 3],
    )
    for (const name of ['heuristic', 'frequency', 'recency'] as const) assertEquals(await score(name, 4 * WINDOW), 6)
  })

  it('uses the predictor that is asked for, else the configured one', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 6 })
    const settings = () => ({ predictor: 'recency' as const, windowMs: WINDOW, keys: 1000 })
    const { predictor } = instance(redis, { clock: at(1), settings })
    const reasons = [
      await predictor.predict({ limit: 1 }),
      await predictor.predict({ limit: 1, predictor: 'frequency' }),
    ]
    assertEquals(
      reasons.map((hot) => hot[0]?.reason),
      ['recency 6', 'frequency 6'],
    )
  })

  it('loads a state once, and again when there is another; never what it has folded itself', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 6 })
    const clock = at(1)
    const [folds, asks] = [instance(redis, { clock }), instance(redis, { clock })]
    const loads = ({ commands }: typeof folds) =>
      commands.calls.splice(0).filter(([name, , ...fields]) => name === 'HMGET' && fields.includes('state')).length
    for (const expected of [1, 1]) {
      await folds.predictor.catchUp()
      const hot = await folds.predictor.predict({ limit: 1 })
      for (let times = 0; times < 3; times++) assertEquals(await asks.predictor.predict({ limit: 1 }), hot)
      assertEquals(loads(asks), expected)
      clock.tick(WINDOW)
    }
    // To fold into it, the lock's holder takes it from Redis, as anybody may have been there before.
    assertEquals(loads(folds), 1)
    assertEquals(asks.folded, [])
  })

  it('goes by the log, as far as it reaches, while another instance folds for the first time', async () => {
    const redis = new FakeRedis()
    redis.read(START, { old: 9 })
    redis.read(START + 3 * WINDOW, { new: 1 })
    redis.locks.held.set('predict', { holder: 'another', lose() {} })
    const { predictor, folded } = instance(redis, { clock: at(3, BUCKET_MS) })
    const hot = await predictor.predict({ limit: 9 })
    assertEquals([hot.map(({ key }) => key), folded], [['old', 'new'], []])
  })

  it('does not wait for ever for what is folded', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    const { predictor, clock } = instance(redis, { clock: at(1), ...foldsBy(() => new Promise(() => {})) })
    const hot = await clock.until(predictor.predict({ limit: 9 }), 10_000)
    assertEquals(
      hot.map(({ key }) => key),
      ['a'],
    )
  })

  it('answers by the log where nothing can be folded', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    const { predictor } = instance(redis, { clock: at(1), ...foldsBy(() => Promise.reject(new Error('a mistake'))) })
    assertEquals(
      (await predictor.predict({ limit: 9 })).map(({ key }) => key),
      ['a'],
    )
  })

  it('answers by the log where the state is gone, or can not be read, by the time it is loaded', async () => {
    for (const change of ['gone', 'nonsense']) {
      const redis = new FakeRedis()
      redis.read(START, { a: 2 })
      await instance(redis, { clock: at(1) }).predictor.catchUp()
      const { predictor, commands } = instance(redis, { clock: at(1) })
      commands.onCall = () => {
        const [name, , ...fields] = commands.calls.at(-1) ?? []
        if (name !== 'HMGET' || !fields.includes('state')) return
        const hash = [...redis.hashes.values()][0] as Map<string, string>
        if (change === 'gone') redis.hashes.clear()
        else hash.set('state', change)
      }
      const hot = await predictor.predict({ limit: 9 })
      assertEquals(
        hot.map(({ key }) => key),
        ['a'],
      )
    }
  })

  it('answers by what there is where Redis takes nothing', async () => {
    for (const code of ['STORE_REFUSED', 'STORE_UNREACHABLE'] as const) {
      const redis = new FakeRedis()
      redis.read(START, { a: 2 })
      await instance(redis, { clock: at(1) }).predictor.catchUp()
      redis.buckets.clear()
      redis.read(START + WINDOW, { b: 3 })
      const { predictor, commands } = instance(redis, { clock: at(2) })
      let tries = 0
      commands.onCall = () => {
        const [name, key = ''] = commands.calls.at(-1) ?? []
        if (name !== 'SCRIPT' || !key.startsWith('prewarm:predict:')) return
        tries++
        throw new PrewarmError(code, 'MISCONF Redis takes no writes')
      }
      const hot = await predictor.predict({ limit: 9 })
      assertEquals([hot.map(({ key }) => key), tries], [['b', 'a'], 1])
    }
  })

  it('goes by the state that has taken the place of the one it was about to load', async () => {
    for (const name of ['learned', 'onnx'] as const) {
      const redis = new FakeRedis()
      redis.read(START, { a: 2 })
      await instance(redis, { clock: at(1) }).predictor.catchUp()
      const outside: OutsideModel = { predict: async (_, rows) => new Float32Array(rows), close: async () => {} }
      const { predictor, commands } = instance(redis, { clock: at(1), outside: async () => outside })
      let loads = 0
      commands.onCall = async () => {
        const [call, , ...fields] = commands.calls.at(-1) ?? []
        if (call !== 'HMGET' || !fields.includes('state') || loads++ > 0) return
        await instance(redis, { clock: at(2) }).predictor.catchUp()
        redis.buckets.clear()
      }
      const hot = await predictor.predict({ limit: 9, predictor: name })
      assertEquals([hot.map(({ key }) => key), loads], [['a'], 2])
    }
  })

  it('knows nothing of keys for an outside model where the state can not be read', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    await instance(redis, { clock: at(1) }).predictor.catchUp()
    redis.hashes.values().next().value?.set('state', 'nonsense')
    const outside: OutsideModel = { predict: async (_, rows) => new Float32Array(rows), close: async () => {} }
    const { predictor } = instance(redis, { clock: at(1), outside: async () => outside })
    assertEquals(await predictor.predict({ limit: 9, predictor: 'onnx' }), [])
  })

  it('refuses what is no limit and no time, and asks nobody', async () => {
    const { predictor, commands } = instance()
    for (const [options, text] of [
      [{ limit: Number.NaN }, 'limit is NaN'],
      [{ limit: 1, windowMs: 0 }, 'windowMs is 0'],
      [{ limit: 1, windowMs: Number.NaN }, 'windowMs is NaN'],
    ] as const) {
      const error = await assertRejects(() => predictor.predict(options), PrewarmError, text)
      assertEquals(error.code, 'REQUEST_INVALID')
    }
    assertEquals(commands.calls, [])
  })

  it('tells that Redis is away, and works when it is back', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    const { predictor, commands } = instance(redis, { clock: at(1) })
    commands.isDown = true
    assertEquals((await assertRejects(() => predictor.predict({ limit: 1 }), PrewarmError)).code, 'STORE_UNREACHABLE')
    commands.isDown = false
    assertEquals((await predictor.predict({ limit: 1 }))[0]?.key, 'a')
  })

  it('tells how its predictions did, also of what others have folded', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    const one = instance(redis, { clock: at(2) })
    const other = instance(redis, { clock: at(2) })
    const nothing = { predictor: 'learned', windowMs: WINDOW, foldedToMs: null, windows: 0, scores: [] } as const
    assertEquals([one.predictor.status, await other.predictor.look()], [nothing, nothing])
    await one.predictor.catchUp()
    const toMs = START + 2 * WINDOW
    const scores = [{ predictor: 'learned' as const, toMs, limit: 1000, precision: 0.5, coverage: 0.75 }]
    assertEquals(one.predictor.status, { ...nothing, foldedToMs: toMs, windows: 2, scores })
    assertEquals([await other.predictor.look(), other.predictor.status], [one.predictor.status, one.predictor.status])
    assertEquals(other.folded, [])
  })

  it('takes a change of the configuration over', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2, b: 1 })
    let keys = 1000
    const { predictor } = instance(redis, {
      clock: at(1),
      settings: () => ({ predictor: 'learned', windowMs: WINDOW, keys }),
    })
    assertEquals((await predictor.predict({ limit: 9 })).length, 2)
    keys = 1
    assertEquals((await predictor.predict({ limit: 9 })).length, 1)
    assertEquals(redis.hashes.size, 2)
  })

  it('asks an outside model by the features of each key, where one is configured', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2, b: 7, c: 4 })
    // It likes what was read least.
    const outside: OutsideModel = {
      predict: async (features, rows) =>
        Float32Array.from({ length: rows }, (_, row) => -(features[row * FEATURES.length + 4] as number)),
      close: async () => {},
    }
    const { predictor } = instance(redis, { clock: at(1), outside: async () => outside })
    assertEquals(
      (await predictor.predict({ limit: 2, predictor: 'onnx' })).map(({ key, score }) => [key, score]),
      [
        ['a', -2],
        ['c', -4],
      ],
    )
    const without = instance(redis, { clock: at(1) }).predictor
    const error = await assertRejects(() => without.predict({ limit: 2, predictor: 'onnx' }), PrewarmError)
    assertEquals(error.code, 'REQUEST_INVALID')
  })

  it('lets several ask at once, and folds once for all', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    let folds = 0
    const { predictor } = instance(redis, {
      clock: at(1),
      ...foldsBy(async (work, _signal, holder) => {
        folds++
        return holder.do(work)
      }),
    })
    const all = await Promise.all(Array.from({ length: 5 }, () => predictor.predict({ limit: 1 })))
    assertEquals([folds, all.map((hot) => hot[0]?.score)], [1, [2, 2, 2, 2, 2]])
  })
})
