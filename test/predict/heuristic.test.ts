import { describe, it } from 'node:test'
import { assert, assertAlmostEquals, assertEquals, assertRejects } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../src/errors.ts'
import { BUCKET_MS, bucketOf } from '../../src/predict/buckets.ts'
import { HeuristicPredictor } from '../../src/predict/heuristic.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'
import { checkAsync } from '../support/property.ts'

const HOUR = 3_600_000
const MINUTE = 60_000

/** A predictor over reads of keys, each so many ms ago; Redis answers once flat, once in pairs. `lateMs`: how much of the current bucket has passed. */
function predictorOf(reads: [key: string, agoMs: number, times?: number][], { lateMs = 0, withLast = true } = {}) {
  const clock = new FakeClock(BUCKET_MS * 10_000 + lateMs)
  const nowMs = clock.nowMs()
  const buckets = new Map<string, Map<string, number>>()
  const last = new Map<string, number>()
  for (const [key, agoMs, times = 1] of reads) {
    const name = `prewarm:access:${bucketOf(nowMs - agoMs)}`
    const bucket = buckets.get(name) ?? new Map<string, number>()
    buckets.set(name, bucket.set(key, (bucket.get(key) ?? 0) + times))
    last.set(key, Math.max(last.get(key) ?? 0, nowMs - agoMs))
  }
  const descending = (scores: Map<string, number>) => [...scores].sort((a, b) => b[1] - a[1])
  const commands = new FakeCommands()
    .on('ZREVRANGE', ([key = '', from, to]) =>
      descending(buckets.get(key) ?? new Map())
        .slice(Number(from), Number(to) + 1)
        .flatMap(([name, score]) => [name, String(score)]),
    )
    .on('ZREVRANGEBYSCORE', ([, , min]) =>
      descending(last)
        .filter(([, ms]) => withLast && ms >= Number(min))
        .map(([name, ms]) => [name, String(ms)]),
    )
  return { commands, predictor: new HeuristicPredictor({ commands, clock }) }
}

describe('HeuristicPredictor', () => {
  it('knows nothing where nothing was read', async () => {
    assertEquals(await predictorOf([]).predictor.predict({ limit: 9, windowMs: HOUR }), [])
  })

  it('scores by frequency, growth and the last read, and says why', async () => {
    const { predictor } = predictorOf([
      ['grows', 40 * MINUTE, 30],
      ['grows', 70 * MINUTE, 10],
      ['new', 10 * MINUTE, 30],
      ['fades', 2 * MINUTE, 10],
      ['fades', 100 * MINUTE, 40],
      ['gone', 90 * MINUTE, 1000],
    ])
    const hot = await predictor.predict({ limit: 9, windowMs: HOUR })
    assertEquals(hot, [
      { key: 'grows', score: 90, reason: '30 reads/h, growth +200 %, last read 40 min ago' },
      { key: 'new', score: 45, reason: '30 reads/h, no history, last read 10 min ago' },
      { key: 'fades', score: 5, reason: '10 reads/h, growth -75 %, last read 2 min ago' },
    ])
    assertEquals(await predictor.predict({ limit: 2, windowMs: HOUR }), hot.slice(0, 2))
    assertEquals(await predictor.predict({ limit: 0, windowMs: HOUR }), [])
  })

  it('looks at an hour where nothing else is said, and at whole buckets', async () => {
    const { commands, predictor } = predictorOf([['a', 50 * MINUTE, 6]])
    assertEquals((await predictor.predict({ limit: 1 }))[0]?.score, 6)
    const asked = () =>
      commands.calls
        .splice(0)
        .filter(([name]) => name === 'ZREVRANGE')
        .map(([, key]) => key)
    assertEquals([asked().length, new Set(asked()).size], [25, 0])
    await predictor.predict({ limit: 1, windowMs: 1 })
    assertEquals(asked(), ['prewarm:access:10000', 'prewarm:access:9999', 'prewarm:access:9998'])
    await predictor.predict({ limit: 1, windowMs: 365 * 24 * HOUR })
    assertEquals(asked().length, 2 * 144 + 1)
  })

  it('reads a bounded number of members, however long the window', async () => {
    const { commands, predictor } = predictorOf([])
    for (const windowMs of [1, HOUR, 12 * HOUR]) {
      await predictor.predict({ limit: 1, windowMs })
      const members = commands.calls
        .splice(0)
        .filter(([name]) => name === 'ZREVRANGE')
        .map((call) => Number(call[3]) + 1)
      assert(Math.max(...members) <= 10_000 && members.reduce((sum, one) => sum + one, 0) <= 301_000)
    }
  })

  it('knows the last read from the buckets where Redis has forgotten it', async () => {
    const { predictor } = predictorOf(
      [
        ['now', 0],
        ['lately', 12 * MINUTE],
        ['long', 45 * MINUTE],
      ],
      { withLast: false },
    )
    const hot = await predictor.predict({ limit: 9, windowMs: HOUR })
    assertEquals(
      hot.map(({ key, score }) => [key, score]),
      [
        ['now', 2],
        ['lately', 1.5],
        ['long', 1],
      ],
    )
  })

  it('gives equals in the same order each time', async () => {
    const { predictor } = predictorOf([
      ['b', 0],
      ['c', 0],
      ['a', 0],
    ])
    assertEquals(
      (await predictor.predict({ limit: 9, windowMs: HOUR })).map(({ key }) => key),
      ['a', 'b', 'c'],
    )
  })

  it('tells that Redis is away', async () => {
    const { commands, predictor } = predictorOf([])
    commands.isDown = true
    assertEquals(
      (await assertRejects(() => predictor.predict({ limit: 1, windowMs: HOUR }), PrewarmError)).code,
      'STORE_UNREACHABLE',
    )
  })

  it('finds a steady rate wherever in a bucket it looks', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 0, max: BUCKET_MS - 1 }),
      fc.integer({ min: 1, max: 24 }),
      async (lateMs, count) => {
        // One read every ten seconds, for longer than two windows.
        const reads = Array.from({ length: (2 * count + 2) * 30 }, (_, at): [string, number] => ['steady', at * 10_000])
        const { predictor } = predictorOf(reads, { lateMs })
        const [hot] = await predictor.predict({ limit: 1, windowMs: count * BUCKET_MS })
        // 360 an hour, no growth, bonus 2; off by a read or two at the edges of the windows.
        assertAlmostEquals(hot?.score as number, 720, 720 * (4 / (30 * count)))
      },
    )
    await checkAsync(property, 100)
  })
})
