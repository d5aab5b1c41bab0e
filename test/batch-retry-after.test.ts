import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { type BatchOptions, runBatch } from '../src/batch.ts'
import type { Origin, ReadFailure } from '../src/origin/types.ts'
import { FakeClock } from './fakes/clock.ts'
import { MemoryStore } from './fakes/store.ts'
import { keys, loadTask } from './fakes/tasks.ts'

const patient = (key: string, retryAfterMs?: number): ReadFailure => ({
  key,
  failure: { code: 'ORIGIN_FAILED', message: 'answered 429', detail: '429', key },
  retryable: true,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})

/** One batch of five keys, whose read takes 100 ms, of which it pauses `pausedMs`, and writes the rest in 7 ms. */
function run(failures: ReadFailure[], pausedMs?: number) {
  const clock = new FakeClock()
  const origin: Origin = {
    async read() {
      await clock.sleep(100)
      const failed = new Set(failures.map(({ key }) => key))
      const records = keys(5).flatMap((key) => (failed.has(key) ? [] : [{ key, value: 'v' }]))
      const paused = pausedMs === undefined ? {} : { pausedMs }
      return { records, failures, duplicates: 0, requests: 3, done: true, ...paused }
    },
    close: async () => {},
  }
  const store = new MemoryStore(clock)
  const write = store.write.bind(store)
  store.write = async (...args: Parameters<typeof write>) => {
    await clock.sleep(7)
    return write(...args)
  }
  const options = {
    ...{
      params: {},
      timeoutMs: 1000,
      requestIntervalMs: 0,
      traceId: '1'.repeat(32),
      signal: new AbortController().signal,
    },
    ...{ storeTimeoutMs: 5000, backoffBaseMs: 100, ttlMs: 1000, retries: 3, keyEvents: 0 },
  } satisfies BatchOptions
  const work = { kind: 'keys', keys: keys(5) } as const
  return clock.until(runBatch(loadTask(), work, options, { origin, store, clock, random: () => 0 }))
}

describe('runBatch, an origin that asks for patience', () => {
  it('runBatch gives back the keys with the longest time to wait, and writes the others', async () => {
    const report = await run([patient('k:3', 9000), patient('k:4', 2000), patient('k:5')])
    assertEquals([report.retryAfterMs, report.retryKeys], [9000, ['k:3', 'k:4', 'k:5']])
    assertEquals([report.keys.written, report.keys.failed, report.originRequests], [2, 0, 3])
  })

  it('runBatch tells of no time to wait where none was asked for', async () => {
    assertEquals((await run([patient('k:3')])).retryAfterMs, undefined)
  })

  it('runBatch counts neither pauses nor writing as time of the origin', async () => {
    const times = async (pausedMs?: number) => {
      const { readNs, writeNs } = await run([], pausedMs)
      return [readNs / 1e6, writeNs / 1e6]
    }
    assertEquals(
      [await times(), await times(60), await times(1000)],
      [
        [100, 7],
        [40, 7],
        [0, 7],
      ],
    )
  })
})
