import { describe, it } from 'node:test'
import { assertAlmostEquals, assertEquals } from '@std/assert'
import { BUCKET_MS, bucketKey } from '../../src/predict/buckets.ts'
import { DemandReader } from '../../src/predict/demand.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

const BUCKET = 1000
/** Half of the current bucket has passed. */
const NOW_MS = (BUCKET + 0.5) * BUCKET_MS

/** A reader beside an access log that a test plays: reads by bucket and key. */
function readerOf(reads: Record<number, Record<string, number>>) {
  const clock = new FakeClock(NOW_MS)
  const log = { asked: 0, isAway: false, errors: 0 }
  const commands = new FakeCommands()
    .on('ZREVRANGE', ([key]) => {
      log.asked++
      if (log.isAway) throw new Error('away')
      const bucket = Object.entries(reads).find(([number]) => bucketKey(Number(number)) === key)?.[1] ?? {}
      return Object.entries(bucket).flatMap(([name, count]) => [name, String(count)])
    })
    .on('ZREVRANGEBYSCORE', () => [])
  const reader = new DemandReader({ commands, clock, onError: () => log.errors++ })
  return { reader, clock, log }
}

describe('DemandReader', () => {
  it('tells reads an hour, of the last hour in whole buckets', async () => {
    const { reader } = readerOf({ [BUCKET]: { a: 5 }, [BUCKET - 11]: { a: 6, b: 1 }, [BUCKET - 12]: { old: 99 } })
    const demand = await reader.read()
    const hours = (11.5 * BUCKET_MS) / 3_600_000
    assertAlmostEquals(demand.readsPerHour('a'), 11 / hours)
    assertAlmostEquals(demand.readsPerHour('b'), 1 / hours)
    assertAlmostEquals(demand.meanReadsPerHour, 6 / hours)
    assertEquals([demand.readsPerHour('old'), demand.keys.size], [0, 2])
  })

  it('gives an answer again for ten seconds, and not where the clock was put back', async () => {
    const { reader, clock, log } = readerOf({ [BUCKET]: { a: 1 } })
    const first = await reader.read()
    const { asked } = log
    clock.tick(9999)
    assertEquals([(await reader.read()) === first, log.asked], [true, asked])
    clock.tick(1)
    await reader.read()
    assertEquals(log.asked, 2 * asked)
    const { nowMs } = clock
    clock.nowMs = () => nowMs.call(clock) - 60_000
    await reader.read()
    assertEquals(log.asked, 3 * asked)
  })

  it('knows nothing where Redis can not be asked, and asks again at once', async () => {
    const { reader, log } = readerOf({ [BUCKET]: { a: 1 } })
    log.isAway = true
    const none = await reader.read()
    assertEquals([none.readsPerHour('a'), none.meanReadsPerHour, log.errors], [0, 0, 1])
    log.isAway = false
    assertEquals((await reader.read()).keys.size, 1)
  })
})
