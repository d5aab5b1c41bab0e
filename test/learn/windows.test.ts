import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { TOLERANCE_MS, WindowCutter } from '../../src/learn/windows.ts'
import type { AccessWindow } from '../../src/predict/types.ts'
import { check } from '../support/property.ts'

function cutter(windowMs: number) {
  const windows: AccessWindow[] = []
  return { windows, cut: new WindowCutter({ windowMs, capacity: 1000, onWindow: (window) => windows.push(window) }) }
}

describe('WindowCutter', () => {
  it('counts every read once, in its window, in order of time', () => {
    const start = 1_700_000_000_000
    const read = fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      count: fc.integer({ min: 1, max: 9 }),
      step: fc.integer({ min: 0, max: 400_000 }),
      back: fc.integer({ min: 0, max: TOLERANCE_MS }),
    })
    check(
      fc.property(fc.array(read), fc.constantFrom(60_000, 300_000, 900_000), (reads, windowMs) => {
        const { windows, cut } = cutter(windowMs)
        const expected = new Map<number, Map<string, number>>()
        let latestMs = start
        for (const { key, count, step, back } of reads) {
          const isFirst = expected.size === 0
          latestMs += step
          const atMs = isFirst ? latestMs : latestMs - back
          // The read that moved the time on.
          if (back > 0 && !isFirst) assert(cut.add('tick', 1, latestMs))
          assert(cut.add(key, count, atMs))
          const add = (one: string, times: number, ms: number) => {
            const index = Math.floor(ms / windowMs)
            const counts = expected.get(index) ?? new Map<string, number>()
            expected.set(index, counts.set(one, (counts.get(one) ?? 0) + times))
          }
          if (back > 0 && !isFirst) add('tick', 1, latestMs)
          add(key, count, atMs)
        }
        cut.end()
        assertEquals(
          windows.map(({ fromMs }) => fromMs),
          [...expected.keys()].sort((a, b) => a - b).map((index) => index * windowMs),
        )
        for (const { fromMs, toMs, reads: sum, keys } of windows) {
          const counts = expected.get(fromMs / windowMs) as Map<string, number>
          assertEquals(toMs - fromMs, windowMs)
          assertEquals(new Map([...keys].map(([key, one]) => [key, one.reads])), counts)
          assertEquals(
            sum,
            [...counts.values()].reduce((a, b) => a + b, 0),
          )
        }
      }),
    )
  })

  it('refuses what comes too late, and gives a window only when nothing of it can come any more', () => {
    const { windows, cut } = cutter(60_000)
    const end = 1_700_000_040_000 // of a window
    assert(cut.add('a', 1, end - 1))
    assert(cut.add('b', 1, end - 1 + TOLERANCE_MS))
    assertEquals(windows.length, 0)
    assert(cut.add('a', 1, end - 1))
    assert(cut.add('b', 1, end + TOLERANCE_MS))
    assertEquals(
      windows.map(({ keys }) => keys.get('a')?.reads),
      [2],
    )
    assert(!cut.add('a', 5, end - 1))
    cut.end()
    assertEquals(
      windows.flatMap(({ keys }) => [...keys.keys()]),
      ['a', 'b', 'b'],
    )
    assertEquals(cut.latestMs, end + TOLERANCE_MS)
  })
})
