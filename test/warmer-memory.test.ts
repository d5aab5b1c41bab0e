import { describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { summary } from '../src/cli/summary.ts'
import { load } from '../src/config/define.ts'
import { PrewarmError } from '../src/errors.ts'
import type { EventOf } from '../src/events/types.ts'
import { JobDetail } from '../src/server/schemas/answers.ts'
import { showJobDetail } from '../src/server/show.ts'
import type { JobResult } from '../src/types.ts'
import { keys } from './fakes/tasks.ts'
import { type Bench, benchOf } from './fakes/warmer.ts'

const MB = 1024 ** 2
const FULL = { usedMemoryBytes: 64 * MB, maxMemoryBytes: 64 * MB, evictionPolicy: 'allkeys-lru', evictedKeys: 3 }

const list = (count: number, name = 'k') =>
  load({
    key: `${name}:{id}`,
    select: () => keys(count).map((_, at) => at + 1),
    load: (all) => new Map(all.map((key) => [key, 1])),
  })

/** Runs one job beside a Redis of this memory. */
async function warmed(bench: Bench, memory: Partial<typeof FULL> = {}): Promise<JobResult> {
  bench.store.memory = { ...FULL, ...memory }
  return bench.clock.until(bench.warmer.submit().result)
}

describe('Warmer, memory', () => {
  it('job tells what it left out, by task and in all, with the reason; as a result, an event and over HTTP', async () => {
    const bench = benchOf({ a: list(1200), b: list(300, 'b') })
    bench.store.fill('k:7', 'there', 60_000)
    const ends: EventOf<'job_ended'>[] = []
    bench.warmer.on('job_ended', (end) => void ends.push(end))
    const result = await warmed(bench)
    assertEquals(result.status, 'partial')
    assertEquals([result.keys.planned, result.keys.written], [1, 1])
    assertEquals(
      result.tasks.map(({ leftOut, status }) => [leftOut, status]),
      [
        [1199, 'partial'],
        [300, 'partial'],
      ],
    )
    const { reason, ...memory } = result.memory ?? { reason: '' }
    assertEquals(memory as object, { leftOut: 1499, isExact: true, ...FULL, evictedKeys: 0 })
    assertStringIncludes(reason, 'Redis has room for no more (maxmemory 64 MB, allkeys-lru)')
    assertEquals(ends[0]?.left_out, { a: 1199, b: 300 })
    const [record] = await bench.warmer.jobs()
    assert(record !== undefined)
    const shown = JobDetail.parse(showJobDetail(record))
    assertEquals([shown.memory?.left_out, shown.task_results[0]?.left_out], [1499, 1199])
    assertStringIncludes(
      summary(result, (_, text) => text),
      `left out  1,499 keys: ${reason}`,
    )
  })

  it('job that leaves nothing out says nothing of memory', async () => {
    const bench = benchOf({ a: list(20) })
    const ends: EventOf<'job_ended'>[] = []
    bench.warmer.on('job_ended', (end) => void ends.push(end))
    for (const memory of [{ maxMemoryBytes: 0 }, { usedMemoryBytes: 0 }]) {
      const result = await warmed(bench, memory)
      assertEquals([result.status, 'memory' in result, 'leftOut' in (result.tasks[0] ?? {})], ['success', false, false])
      assert(!summary(result, (_, text) => text).includes('left out'))
    }
    assertEquals(
      ends.map((end) => 'left_out' in end),
      [false, false],
    )
  })

  it('job goes by memory.guard and memory.reserve', async () => {
    const off = await warmed(benchOf({ a: list(20) }, { memory: { guard: false } }))
    assertEquals([off.status, off.keys.written], ['success', 20])
    const half = { usedMemoryBytes: 40 * MB }
    assertEquals((await warmed(benchOf({ a: list(20) }), half)).status, 'success')
    const kept = await warmed(benchOf({ a: list(20) }, { memory: { reserve: 0.5 } }), half)
    assertEquals([kept.status, kept.memory?.leftOut], ['partial', 20])
  })

  it('job goes on where INFO is forbidden, and can be cancelled while Redis is asked', async () => {
    const forbidden = benchOf({ a: list(20) })
    forbidden.store.onStats = () => Promise.reject(new PrewarmError('STORE_REFUSED', 'Redis refused INFO: NOPERM'))
    assertEquals((await warmed(forbidden)).status, 'success')
    const hanging = benchOf({ a: list(20) })
    hanging.store.onStats = () => new Promise(() => {})
    const job = hanging.warmer.submit()
    await hanging.clock.advance(100)
    job.cancel()
    const { status, keys: counts } = await hanging.clock.until(job.result)
    assertEquals([status, counts.failed, hanging.clock.elapsedMs < 2000], ['cancelled', 20, true])
    await hanging.clock.until(hanging.warmer.stop())
  })
})
