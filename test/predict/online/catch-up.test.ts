import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../../src/errors.ts'
import { BUCKET_MS, KEPT_MS } from '../../../src/predict/buckets.ts'
import { pack, unpack } from '../../../src/predict/online/pack.ts'
import { stateKey } from '../../../src/predict/online/state.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { FakeRedis, foldsBy, instance, START, WINDOW } from './support.ts'

const KEY = stateKey({ windowMs: WINDOW, capacity: 1000 })
const SETTLED = 15_000

/** The windows that the stored state has folded, as numbers from START's on, with their reads. */
async function storedLog(redis: FakeRedis): Promise<[window: number, reads: number][]> {
  const state = JSON.parse(await unpack(redis.hashes.get(KEY)?.get('state') ?? ''))
  return state.log.map(([toMs, reads]: [number, number]) => [(toMs - START) / WINDOW - 1, reads])
}

const at = (windows: number, lateMs = SETTLED) => new FakeClock(START + windows * WINDOW + lateMs)

describe('CatchUp', () => {
  it('folds nothing, and stores nothing, where nothing was read', async () => {
    const { predictor, redis, folded, locks } = instance(new FakeRedis(), { clock: at(3) })
    assertEquals(await predictor.catchUp(), { isBusy: false, head: null })
    assertEquals([folded, redis.hashes.size, locks.attempts], [[], 0, []])
  })

  it('begins with the oldest window that has reads, and folds each once, in order', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 2 })
    redis.read(START + BUCKET_MS, { a: 1, b: 1 })
    redis.read(START + 2 * WINDOW, { a: 5 })
    const { predictor, clock } = instance(redis, { clock: at(3) })
    const { head } = await predictor.catchUp()
    assertEquals(await storedLog(redis), [
      [0, 4],
      [1, 0],
      [2, 5],
    ])
    assertEquals([head?.foldedToMs, head?.windows], [START + 3 * WINDOW, 3])
    clock.tick(WINDOW)
    redis.read(START + 3 * WINDOW + 1, { c: 1 })
    await predictor.catchUp()
    await predictor.catchUp()
    assertEquals((await storedLog(redis)).slice(2), [
      [2, 5],
      [3, 1],
    ])
  })

  it('leaves a window alone until everybody has flushed', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const { predictor, clock, folded } = instance(redis, { clock: at(1, SETTLED - 1) })
    await predictor.catchUp()
    assertEquals(folded, [])
    clock.tick(1)
    await predictor.catchUp()
    assertEquals(folded, [START + WINDOW])
  })

  it('does not fold what has not ended by the server’s clock, however far ahead its own is', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    redis.read(START + WINDOW, { a: 1 })
    redis.nowMs = START + 2 * WINDOW - 1
    const { predictor, folded } = instance(redis, { clock: at(9) })
    await predictor.catchUp()
    assertEquals(folded, [START + WINDOW])
    redis.nowMs++
    await predictor.catchUp()
    assertEquals(folded, [START + WINDOW, START + 2 * WINDOW])
  })

  it('asks once which buckets are there, and reads only those windows', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const { predictor, commands } = instance(redis, { clock: at(90) })
    await predictor.catchUp()
    assertEquals(commands.calls.filter(([name]) => name === 'ZREVRANGE').length, WINDOW / BUCKET_MS)
    assertEquals((await storedLog(redis)).length, 90)
  })

  it('begins again where the log begins after a long pause', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const { predictor, clock } = instance(redis, { clock: at(1) })
    await predictor.catchUp()
    clock.tick(KEPT_MS * 3)
    const keptWindows = KEPT_MS / WINDOW
    await predictor.catchUp()
    const log = await storedLog(redis)
    assertEquals(log[0], [0, 1])
    assert(log.length > keptWindows - 2 && log.length <= keptWindows + 2, `${log.length} windows`)
    assertEquals(log.at(-1), [3 * keptWindows, 0])
  })

  it('keeps the memory bounded: many keys are folded in several goes', async () => {
    const redis = new FakeRedis()
    for (let window = 0; window < 5; window++) {
      const keys = Array.from({ length: 9000 }, (_, index) => [`${window}:${index}`, 1] as const)
      for (let bucket = 0; bucket < 3; bucket++)
        redis.read(
          START + window * WINDOW + bucket * BUCKET_MS,
          Object.fromEntries(keys.map(([k]) => [`${k}:${bucket}`, 1])),
        )
    }
    const sizes: number[] = []
    const { predictor } = instance(redis, {
      clock: at(5),
      ...foldsBy(async (work, _signal, holder) => {
        sizes.push(work.windows.length)
        return holder.do(work)
      }),
    })
    await predictor.catchUp()
    assertEquals(sizes, [4, 1])
    assertEquals(
      await storedLog(redis),
      [0, 1, 2, 3, 4].map((window) => [window, 27_000]),
    )
  })

  it('is done by one of several instances; the others leave it to that one', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const holding = Promise.withResolvers<void>()
    const first = instance(redis, {
      clock: at(1),
      ...foldsBy(async (work, _signal, holder) => {
        await holding.promise
        return holder.do(work)
      }),
    })
    const second = instance(redis, { clock: at(1) })
    const running = first.predictor.catchUp()
    while (redis.locks.holderOf('predict') === undefined) await Promise.resolve()
    assertEquals(await second.predictor.catchUp(), { isBusy: true, head: null })
    holding.resolve()
    const { head } = await running
    assertEquals([second.folded, await storedLog(redis), redis.locks.held.size], [[], [[0, 1]], 0])
    assertEquals((await second.predictor.catchUp()).head, head)
  })

  it('stores nothing over a state that is as new', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const other = instance(redis, { clock: at(1) })
    const late = instance(redis, {
      clock: at(1),
      ...foldsBy(async (work, _signal, holder) => {
        // Its lock expired unnoticed while it was folding.
        redis.locks.take('predict', { isAsleep: true })
        await other.predictor.catchUp()
        return holder.do(work)
      }),
    })
    const { head } = await late.predictor.catchUp()
    const theirs = redis.hashes.get(KEY)?.get('id')
    assertEquals([head?.id, other.predictor.status.foldedToMs], [theirs, START + WINDOW])
    assertEquals(await storedLog(redis), [[0, 1]])
  })

  it('stores nothing over what somebody has learned from a log meanwhile, however old that is', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    await instance(redis, { clock: at(1) }).predictor.catchUp()
    const { predictor } = instance(redis, {
      clock: at(2),
      ...foldsBy(async (work, _signal, holder) => {
        redis.hashes.get(KEY)?.set('id', 'learned')
        return holder.do(work)
      }),
    })
    assertEquals([(await predictor.catchUp()).head?.id, redis.hashes.get(KEY)?.get('id')], ['learned', 'learned'])
  })

  it('folds a window again whose result was never stored', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const dying = instance(redis, {
      clock: at(1),
      ...foldsBy(async () => {
        throw new PrewarmError('INTERNAL', 'it dies here')
      }),
    })
    await assertRejects(() => dying.predictor.catchUp(), PrewarmError, 'it dies here')
    assertEquals([redis.hashes.size, redis.locks.held.size], [0, 0])
    const { predictor } = instance(redis, { clock: at(1) })
    await predictor.catchUp()
    assertEquals(await storedLog(redis), [[0, 1]])
  })

  const broken: [name: string, change: (hash: Map<string, string>) => Promise<unknown> | unknown][] = [
    ['of another format', (hash) => hash.set('format', '0')],
    ['of another version of the model', async (hash) => hash.set('state', await pack('{"version":2}'))],
    ['that is no model', async (hash) => hash.set('state', await pack('nonsense'))],
    ['that can not be unpacked', (hash) => hash.set('state', 'H4sI')],
    ['that is empty', (hash) => hash.set('state', '')],
    ['folded to no window’s end', (hash) => hash.set('foldedToMs', String(START + 1))],
    ['folded to a time yet to come', (hash) => hash.set('foldedToMs', String(START + 1000 * WINDOW))],
    ['without an id', (hash) => hash.delete('id')],
  ]
  for (const [name, change] of broken)
    it(`replaces a state ${name}, by what the log has`, async () => {
      const redis = new FakeRedis()
      redis.read(START, { a: 1 })
      await instance(redis, { clock: at(1) }).predictor.catchUp()
      redis.read(START + WINDOW, { b: 2 })
      await change(redis.hashes.get(KEY) as Map<string, string>)
      const { predictor } = instance(redis, { clock: at(2) })
      await predictor.catchUp()
      assertEquals(await storedLog(redis), [
        [0, 1],
        [1, 2],
      ])
      assertEquals(
        (await predictor.predict({ limit: 9 })).map(({ key }) => key),
        ['b', 'a'],
      )
    })

  it('has a state for each length of window and number of keys', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    await instance(redis, { clock: at(2) }).predictor.catchUp()
    const settings = () => ({ predictor: 'learned' as const, windowMs: BUCKET_MS - 1, keys: 10 })
    await instance(redis, { clock: at(2), settings }).predictor.catchUp()
    assertEquals([...redis.hashes.keys()], [KEY, stateKey({ windowMs: BUCKET_MS, capacity: 10 })])
  })

  it('ends when it is closed, and stores nothing then', async () => {
    const redis = new FakeRedis()
    redis.read(START, { a: 1 })
    const folding = Promise.withResolvers<void>()
    const { predictor } = instance(redis, {
      clock: at(1),
      ...foldsBy((_work, signal) => {
        folding.resolve()
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }),
    })
    const running = predictor.catchUp()
    running.catch(() => {})
    await folding.promise
    await predictor.close()
    assertEquals((await assertRejects(() => running, PrewarmError)).code, 'STOPPED')
    assertEquals([redis.hashes.size, redis.locks.held.size], [0, 0])
  })

  it('tells that Redis is away', async () => {
    const { predictor, commands } = instance()
    commands.isDown = true
    assertEquals((await assertRejects(() => predictor.catchUp(), PrewarmError)).code, 'STORE_UNREACHABLE')
  })
})
