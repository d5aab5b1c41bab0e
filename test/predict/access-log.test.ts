import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { AccessLog, type AccessLogOptions } from '../../src/predict/access-log.ts'
import { ADD_READS, ADD_TIERS, BUCKET_MS } from '../../src/predict/buckets.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'
import { checkAsync } from '../support/property.ts'

/** An access log whose Redis keeps what it was told: reads by bucket and key. */
function setUp(options: Partial<AccessLogOptions> = {}) {
  const clock = new FakeClock(BUCKET_MS * 1000)
  const stored = new Map<string, Map<string, number>>()
  const lastReads = new Map<string, number>()
  const sizes: number[] = []
  const commands = new FakeCommands().onScript(ADD_READS, (keys, [, , ...args]) => {
    const bucket = stored.get(keys[0] as string) ?? new Map<string, number>()
    stored.set(keys[0] as string, bucket)
    sizes.push(args.length / 3)
    for (let at = 0; at < args.length; at += 3) {
      const key = args[at] as string
      bucket.set(key, (bucket.get(key) ?? 0) + Number(args[at + 1]))
      lastReads.set(key, Math.max(lastReads.get(key) ?? 0, Number(args[at + 2])))
    }
    return bucket.size
  })
  const tiers: Record<string, number> = {}
  commands.onScript(ADD_TIERS, ([key = ''], [, ...args]) => {
    for (let at = 0; at < args.length; at += 2) {
      const name = `${key} ${args[at]}`
      tiers[name] = (tiers[name] ?? 0) + Number(args[at + 1])
    }
    return 1
  })
  const errors: unknown[] = []
  const log = new AccessLog({ commands, clock, onError: (error) => errors.push(error), ...options })
  const held = () => Object.fromEntries([...stored].map(([bucket, counts]) => [bucket, Object.fromEntries(counts)]))
  return { clock, commands, log, held, lastReads, sizes, errors, tiers }
}
const BUCKET = 'prewarm:access:1000'

describe('AccessLog', () => {
  it('sends what was read, by key, every few seconds', async () => {
    const { clock, commands, log, held, lastReads } = setUp()
    log.start()
    log.start()
    for (const key of ['a', 'b', 'a']) log.record(key)
    await clock.advance(4999)
    assertEquals(commands.calls, [])
    await clock.advance(1)
    assertEquals([held(), log.size], [{ [BUCKET]: { a: 2, b: 1 } }, 0])
    log.record('a')
    await clock.advance(5000)
    assertEquals(held(), { [BUCKET]: { a: 3, b: 1 } })
    assertEquals(lastReads.get('a'), 1000 * BUCKET_MS + 5000)
    await clock.advance(60_000)
    assertEquals(commands.calls.length, 2)
    await log.stop()
  })

  it('counts by five minutes', async () => {
    const { clock, log, held } = setUp()
    log.record('a')
    clock.tick(BUCKET_MS - 1)
    log.record('a')
    clock.tick(1)
    log.record('a')
    await log.flush()
    assertEquals(held(), { [BUCKET]: { a: 2 }, 'prewarm:access:1001': { a: 1 } })
  })

  it('counts reads by tier beside that, where it is told', async () => {
    const { clock, commands, log, held, tiers } = setUp()
    for (const tier of ['memory', 'redis', 'memory', 'origin'] as const) log.record('a', tier)
    log.record('a')
    log.record('a', 'memory', clock.nowMs() + BUCKET_MS)
    commands.isDown = true
    await log.flush()
    commands.isDown = false
    log.record('a', 'redis')
    await log.flush()
    assertEquals(tiers, {
      'prewarm:access:tiers:1000 memory': 2,
      'prewarm:access:tiers:1000 redis': 2,
      'prewarm:access:tiers:1000 origin': 1,
      'prewarm:access:tiers:1001 memory': 1,
    })
    assertEquals(held(), { [BUCKET]: { a: 6 }, 'prewarm:access:1001': { a: 1 } })
  })

  it('forgets the keys read least when there are too many', () => {
    const { log } = setUp({ capacity: 100 })
    for (let round = 0; round < 3; round++) for (let at = 0; at < 50; at++) log.record(`hot:${at}`)
    for (let at = 0; at < 10_000; at++) {
      log.record(`once:${at}`)
      assert(log.size <= 100)
    }
    assert(log.size >= 80)
  })

  it('keeps the hot ones of many', async () => {
    const { log, held } = setUp({ capacity: 100 })
    for (let at = 0; at < 50; at++) log.record(`early:${at}`)
    for (let round = 0; round < 3; round++) for (let at = 0; at < 50; at++) log.record(`hot:${at}`)
    for (let at = 0; at < 10_000; at++) log.record(`once:${at}`)
    await log.flush()
    const counts = held()[BUCKET] as Record<string, number>
    for (let at = 0; at < 50; at++) assertEquals(counts[`hot:${at}`], 3)
  })

  it('sends many keys in several calls', async () => {
    const { log, sizes } = setUp()
    for (let at = 0; at < 2500; at++) log.record(`k:${at}`)
    await log.flush()
    assertEquals(sizes, [1000, 1000, 500])
  })

  it('keeps its counts while Redis is away, of the last two buckets, and bounded', async () => {
    const { clock, commands, log, held, errors } = setUp({ capacity: 10 })
    log.start()
    commands.isDown = true
    for (let bucket = 0; bucket < 4; bucket++) {
      for (let at = 0; at < 30; at++) log.record(at < 20 ? 'hot' : `k:${at}`)
      await clock.advance(BUCKET_MS)
      assert(log.size <= 20)
    }
    assert(errors.length > 100)
    commands.isDown = false
    await clock.advance(5000)
    const counts = held()
    assertEquals(Object.keys(counts).sort(), ['prewarm:access:1002', 'prewarm:access:1003'])
    assertEquals([counts['prewarm:access:1002']?.hot, counts['prewarm:access:1003']?.hot], [20, 20])
    await log.stop()
  })

  it('sends the rest when it is stopped, leaves no timer, and can be stopped twice', async () => {
    const { clock, log, held } = setUp()
    log.start()
    log.record('a')
    await Promise.all([log.stop(), log.stop()])
    assertEquals([held(), clock.pending], [{ [BUCKET]: { a: 1 } }, 0])
    log.start()
    await log.stop()
    log.start()
    assertEquals(clock.pending, 1)
    await log.stop()
  })

  it('has one timer, also when it is started again while it flushes', async () => {
    const { clock, commands, log } = setUp()
    const answers: (() => void)[] = []
    commands.onCall = () => new Promise((resolve) => void answers.push(resolve))
    log.start()
    log.record('a')
    await clock.advance(5000)
    const stopped = log.stop()
    log.start()
    await turn()
    for (const answer of answers) answer()
    await stopped
    await turn()
    assertEquals(clock.pending, 1)
    commands.onCall = () => {}
    await log.stop()
    assertEquals(clock.pending, 0)
  })

  it('counts no key that is none', async () => {
    const { log } = setUp()
    for (const key of ['', 'x'.repeat(4097)]) log.record(key)
    assertEquals(log.size, 0)
    log.record('x'.repeat(4096))
    assertEquals(log.size, 1)
  })

  it('refuses bounds that make no sense', () => {
    for (const bad of [{ capacity: 0 }, { flushMs: 0 }, { capacity: Number.NaN }])
      assertThrows(() => setUp(bad), RangeError)
  })

  it('loses no read and counts none twice, however reads, flushes and failures fall', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'c') },
      fc.constantFrom('flush' as const, 'down' as const, 'up' as const),
    )
    const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { commands, log, held } = setUp()
      const expected: Record<string, number> = {}
      for (const one of steps) {
        if (one === 'down' || one === 'up') commands.isDown = one === 'down'
        else if (one === 'flush') void log.flush()
        else {
          log.record(one)
          expected[one] = (expected[one] ?? 0) + 1
        }
        if (one === 'up') await turn()
      }
      await log.flush()
      commands.isDown = false
      await log.flush()
      assertEquals(held()[BUCKET] ?? {}, expected)
    })
    await checkAsync(property, 200)
  })
})
