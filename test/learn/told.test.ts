import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { ReadCounters } from '../../src/gain/read-counters.ts'
import { refusedTime, ToldReadsLog } from '../../src/learn/told.ts'
import { TopKeys } from '../../src/learn/top-keys.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { ADD_READS, ADD_TIERS, BUCKET_MS } from '../../src/predict/buckets.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

const HOUR_MS = 3_600_000

function stage() {
  const clock = new FakeClock()
  const commands = new FakeCommands().onScript(ADD_READS, () => 1).onScript(ADD_TIERS, () => 1)
  const access = new AccessLog({ commands, clock })
  const counters = new ReadCounters()
  return { clock, commands, access, counters, log: new ToldReadsLog({ access, counters, commands, clock }) }
}

describe('ToldReadsLog', () => {
  it('counts what is recent in memory, once for all reads of a key', async () => {
    const { clock, commands, access, log } = stage()
    const now = clock.nowMs()
    await log.add([
      { key: 'a', count: 3, atMs: now },
      { key: 'a', count: 2, atMs: now - 1000 },
      { key: 'b', count: 1, atMs: now + 30_000 },
    ])
    assertEquals([commands.calls.length, access.size], [0, 2])
    await access.flush()
    const [, bucket, , , , ...reads] = commands.calls[0] as string[]
    assertEquals(bucket, `prewarm:access:${Math.floor(now / BUCKET_MS)}`)
    assertEquals(reads, ['a', '5', `${now}`, 'b', '1', `${now}`])
  })

  it('sends what is older to its own bucket at once', async () => {
    const { clock, commands, access, log } = stage()
    const at = clock.nowMs() - 20 * HOUR_MS
    await log.add([
      { key: 'a', count: 3, atMs: at },
      { key: 'b', count: 1, atMs: at - HOUR_MS },
      { key: 'c', count: 2, atMs: at },
    ])
    assertEquals(access.size, 0)
    assertEquals(
      commands.calls.map(([, bucket, , , , ...reads]) => [bucket, ...reads]),
      [
        [`prewarm:access:${Math.floor(at / BUCKET_MS)}`, 'a', '3', `${at}`, 'c', '2', `${at}`],
        [`prewarm:access:${Math.floor((at - HOUR_MS) / BUCKET_MS)}`, 'b', '1', `${at - HOUR_MS}`],
      ],
    )
  })

  it('counts for the hit rate what tells where it was served from', async () => {
    const { clock, counters, log } = stage()
    const atMs = clock.nowMs()
    await log.add([
      { key: 'a', count: 3, atMs, tier: 'redis' },
      { key: 'a', count: 2, atMs: atMs - HOUR_MS, tier: 'origin' },
      { key: 'a', count: 9, atMs },
    ])
    const { hits, misses } = counters.totals()
    assertEquals([hits, misses], [3, 2])
  })

  it('counts nothing recent where the older ones can not be sent, so that all may be told again', async () => {
    const { clock, commands, access, counters, log } = stage()
    commands.isDown = true
    const nowMs = clock.nowMs()
    const reads = [
      { key: 'a', count: 1, atMs: nowMs, tier: 'redis' as const },
      { key: 'b', count: 1, atMs: nowMs - HOUR_MS },
    ]
    await assertRejects(() => log.add(reads))
    assertEquals([access.size, counters.totals().hits], [0, 0])
  })

  it('refuses what the access log would not keep, and the future', () => {
    const now = 1_700_000_000_000
    assertEquals(refusedTime(now, now), null)
    assertEquals(refusedTime(now + 60_000, now), null)
    assertEquals(refusedTime(now + 60_001, now), 'is in the future')
    assertEquals(refusedTime(now - 25 * HOUR_MS, now), null)
    assertEquals(refusedTime(now - 25 * HOUR_MS - BUCKET_MS, now), 'is more than 25 hours ago')
  })
})

describe('TopKeys', () => {
  it('keeps the hottest of many, the latest of equals, each once', () => {
    const top = new TopKeys(3)
    for (let n = 0; n < 1000; n++) top.set(`k${n}`, { reads: n % 10, lastMs: n })
    top.set('k999', { reads: 9, lastMs: 1001 })
    assertEquals(
      top.top().map(([key]) => key),
      ['k999', 'k989', 'k979'],
    )
    assertEquals(top.top(1).length, 1)
  })
})
