import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import { ADD_COUNTS, ADD_ENTRIES, ADD_WARMED, GAIN_BUCKET_MS, SET_POOL } from '../../src/gain/buckets.ts'
import { GainLog, type GainLogOptions } from '../../src/gain/gain-log.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'
import { told } from './support.ts'

const BUCKET = 1_000_000
const NOW = BUCKET * GAIN_BUCKET_MS

/** A gain log whose Redis keeps what it was told. */
function setUp(options: Partial<GainLogOptions> = {}) {
  const clock = new FakeClock(NOW)
  const hashes = new Map<string, Map<string, number>>()
  const entries = new Map<string, Set<string>>()
  const pools: string[][] = []
  const redis = { hasReaders: true }
  const add = ([key = '']: readonly string[], [, ...args]: readonly string[]) => {
    const hash = hashes.get(key) ?? new Map<string, number>()
    hashes.set(key, hash)
    for (let at = 0; at < args.length; at += 2)
      hash.set(args[at] as string, (hash.get(args[at] as string) ?? 0) + Number(args[at + 1]))
    return 1
  }
  const commands = new FakeCommands()
    .on('SET', () => {
      redis.hasReaders = true
      return 'OK'
    })
    .onScript(ADD_COUNTS, add)
    .onScript(ADD_WARMED, (keys, args) => (redis.hasReaders ? add(keys, args) : 0))
    .onScript(ADD_ENTRIES, ([key = ''], [, , ...args]) => {
      entries.set(key, new Set([...(entries.get(key) ?? []), ...args]))
      return 1
    })
    .onScript(SET_POOL, (_, args) => pools.push([...args]))
  const errors: unknown[] = []
  const log = new GainLog({ commands, clock, onError: (error) => errors.push(error), ...options })
  const warmed = () =>
    Object.fromEntries(
      [...hashes].filter(([key]) => key.includes('warmed')).map(([key, all]) => [key, Object.fromEntries(all)]),
    )
  const reads = () => Object.fromEntries(hashes.get(`prewarm:gain:reads:${BUCKET}`) ?? [])
  return { clock, commands, redis, log, hashes, entries, pools, errors, warmed, reads }
}

describe('GainLog', () => {
  it('tells what was read every few seconds, and nothing where nothing was', async () => {
    const { clock, commands, log, entries, reads } = setUp()
    log.start()
    log.start()
    await clock.advance(20_000)
    assertEquals(commands.calls, [])
    for (let times = 0; times < 3; times++) log.read(told({ expiresAtMs: NOW + 37 }))
    log.error({ keyspace: 'films', tier: 'redis' })
    log.invalidated(2)
    await clock.advance(5000)
    const expected = { 'redis:films': 3, 'warm:films': 3, 'errors:films': 1, 'invalidations:': 2, 'observed:': 3 }
    assertEquals(reads(), expected)
    assertEquals([...entries], [[`prewarm:gain:read:${BUCKET}:films`, new Set([`film:1@${NOW + 37}`])]])
    await clock.advance(60_000)
    assertEquals([commands.calls.length, reads()], [3, expected])
    await log.stop()
    assertEquals(clock.pending, 0)
  })

  it('tells the access log of each read', () => {
    const seen: unknown[] = []
    const { log } = setUp({ access: { record: (...read) => void seen.push(read), start() {}, async stop() {} } })
    log.read(told({ tier: 'memory' }))
    log.read(told({ tier: 'origin', status: 'miss' }))
    assertEquals(seen, [
      ['film:1', 'memory'],
      ['film:1', 'origin'],
    ])
  })

  it('tells what was warmed by when it expires, without a start, too', async () => {
    const { log, warmed, clock } = setUp()
    log.warmed({ task: 'films', keys: 50, ttlMs: 300_000, jitter: 0.1 })
    log.warmed({ task: 'films', keys: 50, ttlMs: 300_000, jitter: 0 })
    log.warmed({ task: 'films', keys: 0, ttlMs: 300_000, jitter: 0 })
    log.warmed({ task: 'actors', keys: 90, ttlMs: 1_500_000, jitter: 0.4 })
    log.warmed({ task: 'years', keys: 90, ttlMs: 25 * 3_600_000, jitter: 0 })
    assertEquals(clock.pending, 0)
    await Promise.all([log.stop(), log.stop()])
    assertEquals(warmed(), {
      [`prewarm:gain:warmed:${BUCKET}`]: { films: 100 },
      [`prewarm:gain:warmed:${BUCKET + 1}`]: { actors: 45 },
      [`prewarm:gain:warmed:${BUCKET + 2}`]: { actors: 45 },
    })
  })

  it('waits with what was warmed until somebody reads through a cache, but not for ever', async () => {
    const { clock, log, redis, warmed } = setUp()
    redis.hasReaders = false
    log.warmed({ task: 'films', keys: 50, ttlMs: 300_000, jitter: 0 })
    await log.flush()
    await log.flush()
    assertEquals(warmed(), {})
    log.read(told())
    await log.flush()
    assertEquals(warmed(), { [`prewarm:gain:warmed:${BUCKET}`]: { films: 50 } })
    redis.hasReaders = false
    log.warmed({ task: 'films', keys: 1, ttlMs: 1000, jitter: 0 })
    await log.flush()
    clock.tick(7 * 3_600_000)
    await log.flush()
    redis.hasReaders = true
    await log.flush()
    assertEquals(warmed(), { [`prewarm:gain:warmed:${BUCKET}`]: { films: 50 } })
  })

  it('loses nothing while Redis is away, and tells nothing twice', async () => {
    const { clock, commands, log, entries, errors, warmed, reads } = setUp()
    log.start()
    commands.isDown = true
    log.warmed({ task: 'films', keys: 10, ttlMs: 1000, jitter: 0 })
    log.read(told({ key: 'a', expiresAtMs: NOW + 37 }))
    await clock.advance(5000)
    log.warmed({ task: 'films', keys: 5, ttlMs: 1000, jitter: 0 })
    log.read(told({ key: 'b', expiresAtMs: NOW + 37 }))
    await clock.advance(10_000)
    assertEquals([errors.length, warmed()], [3, {}])
    commands.isDown = false
    await clock.advance(5000)
    // What was taken from the entries before comes first, the rest with the flush after it.
    await log.stop()
    assertEquals(warmed(), { [`prewarm:gain:warmed:${BUCKET}`]: { films: 15 } })
    assertEquals(reads()['redis:films'], 2)
    assertEquals([...(entries.values().next().value ?? [])], [`a@${NOW + 37}`, `b@${NOW + 37}`])
  })

  it('does not wait for the next flush when many entries were read', async () => {
    const { commands, log, entries } = setUp({ capacity: 1000 })
    log.start()
    for (let at = 0; at < 499; at++) log.read(told({ key: `k:${at}`, expiresAtMs: NOW + 37 }))
    await turn()
    assertEquals(commands.calls.length, 0)
    for (let at = 499; at < 5000; at++) {
      log.read(told({ key: `k:${at}`, expiresAtMs: NOW + 37 }))
      if (at % 250 === 0) await turn()
    }
    await log.stop()
    assertEquals([entries.values().next().value?.size, log.dropped], [5000, 0])
  })

  it('is bounded while Redis is away, and does not ask it at each read', async () => {
    const { clock, commands, log, errors } = setUp({ capacity: 100 })
    log.start()
    commands.isDown = true
    for (let at = 0; at < 10_000; at++) {
      log.read(told({ key: `k:${at}`, expiresAtMs: NOW + 37 }))
      if (at % 100 === 0) await turn()
    }
    assertEquals([commands.calls.length, errors.length], [1, 1])
    assert(log.dropped >= 9800)
    for (let hours = 0; hours < 1000; hours++) {
      clock.tick(3_600_000)
      log.warmed({ task: 'films', keys: 10, ttlMs: 3_600_000, jitter: 0.1 })
    }
    await log.stop()
  })

  it('says how its pool is, once it was started', async () => {
    const { clock, log, pools } = setUp({
      pool: { instance: 'me', figures: () => ({ size: 4, available: 3, pending: 7 }) },
    })
    await log.flush()
    assertEquals(pools, [])
    log.start()
    await clock.advance(5000)
    const atMs = NOW + 5000
    assertEquals(pools, [
      ['30000', 'me', JSON.stringify({ size: 4, available: 3, pending: 7, at_ms: atMs }), String(atMs)],
    ])
    await log.stop()
  })

  it('refuses bounds that make no sense', () => {
    for (const bad of [{ capacity: 0 }, { flushMs: 0 }, { capacity: Number.NaN }])
      assertThrows(() => setUp(bad), RangeError)
  })
})
