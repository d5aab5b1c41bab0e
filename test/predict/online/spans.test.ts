import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { BUCKET_MS, KEPT_MS } from '../../../src/predict/buckets.ts'
import { bucketsOf, dueTo, keptFrom, spansBetween, wholeBuckets } from '../../../src/predict/online/spans.ts'

const DAY = 86_400_000

describe('spans', () => {
  it('wholeBuckets rounds up to five minutes', () => {
    assertEquals([60_000, BUCKET_MS, BUCKET_MS + 1, DAY].map(wholeBuckets), [BUCKET_MS, BUCKET_MS, 2 * BUCKET_MS, DAY])
  })

  it('dueTo is the end of the last window that everybody has flushed', () => {
    const end = 7 * BUCKET_MS
    assertEquals(
      [end, end + 14_999, end + 15_000, end + BUCKET_MS].map((nowMs) => dueTo(nowMs, BUCKET_MS)),
      [end - BUCKET_MS, end - BUCKET_MS, end, end],
    )
  })

  it('keptFrom is where the window begins that the log still has a part of', () => {
    const nowMs = 1000 * DAY
    assertEquals(keptFrom(nowMs, BUCKET_MS), nowMs - KEPT_MS)
    assertEquals(keptFrom(nowMs, DAY), nowMs - 2 * DAY)
    assertEquals(keptFrom(nowMs + 1, BUCKET_MS), nowMs - KEPT_MS)
  })

  it('spansBetween has each window once, in order, and none where nothing is due', () => {
    const spans = spansBetween({ fromMs: 0, toMs: 3 * BUCKET_MS }, BUCKET_MS)
    assertEquals(
      spans.map(({ fromMs, toMs }) => [fromMs / BUCKET_MS, toMs / BUCKET_MS]),
      [
        [0, 1],
        [1, 2],
        [2, 3],
      ],
    )
    assertEquals(spansBetween({ fromMs: DAY, toMs: 0 }, BUCKET_MS), [])
  })

  it('bucketsOf has the buckets of one window and not those beside it', () => {
    assertEquals(bucketsOf({ fromMs: 3 * BUCKET_MS, toMs: 6 * BUCKET_MS }), [3, 4, 5])
    assertEquals(bucketsOf({ fromMs: 3 * BUCKET_MS, toMs: 3 * BUCKET_MS }), [])
  })
})
