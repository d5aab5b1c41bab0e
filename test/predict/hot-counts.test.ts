import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { HotCounts } from '../../src/predict/hot-counts.ts'
import { check } from '../support/property.ts'

interface Read {
  key: string
  reads: number
}

function play(capacity: number, stream: readonly Read[]) {
  const counts = new HotCounts(capacity)
  const truth = new Map<string, number>()
  let total = 0
  for (const [at, { key, reads }] of stream.entries()) {
    counts.add(key, reads, at)
    assert(counts.size <= capacity, `${counts.size} counters are in use`)
    truth.set(key, (truth.get(key) ?? 0) + reads)
    total += reads
  }
  return { counts, truth, total, found: new Map(counts.entries()) }
}

/** Whatever was read: no count is too high, none is too low by more than the bound, and so no heavy key is lost. */
function holds(capacity: number, stream: readonly Read[]): void {
  const { truth, total, found } = play(capacity, stream)
  const bound = total / (Math.floor(capacity / 10) + 1)
  for (const [key, reads] of truth) {
    const counted = found.get(key)?.reads ?? 0
    assert(counted <= reads, `${key} was read ${reads} times and counted ${counted} times`)
    assert(reads - counted <= bound, `${key} was read ${reads} times and counted ${counted} times, bound ${bound}`)
    if (reads > bound) assert(found.has(key), `${key} is lost`)
  }
  for (const key of found.keys()) assert(truth.has(key))
}

describe('HotCounts', () => {
  it('is exact as long as there is room', () => {
    const { counts, found } = play(100, [
      { key: 'a', reads: 1 },
      { key: 'b', reads: 5 },
      { key: 'a', reads: 2 },
    ])
    assertEquals(Object.fromEntries(found), { a: { reads: 3, lastMs: 2 }, b: { reads: 5, lastMs: 1 } })
    assertEquals(counts.size, 2)
  })

  it('loses no heavy key and counts none too often, whatever is read', () => {
    const stream = fc.array(
      fc.record({ key: fc.integer({ min: 0, max: 60 }).map(String), reads: fc.integer({ min: 1, max: 100 }) }),
      { maxLength: 300 },
    )
    check(fc.property(fc.integer({ min: 10, max: 50 }), stream, holds), 300)
  })

  it('finds a key that comes back again and again, and has left each time', () => {
    // Old favourites hold most counters; whatever is new has to leave again soon, this key, too.
    const favourites = Array.from({ length: 76 }, (_, at) => ({ key: `favourite:${at}`, reads: 1000 }))
    const rounds = Array.from({ length: 5000 }, (_, round) => [
      { key: 'again', reads: 10 },
      ...Array.from({ length: 13 }, (_, at) => ({ key: `once:${round}:${at}`, reads: 1 })),
    ]).flat()
    const stream = [...favourites, ...rounds]
    holds(100, stream)
    assert((play(100, stream).found.get('again')?.reads ?? 0) > 30_000)
  })

  it('keeps the latest read', () => {
    const counts = new HotCounts(10)
    counts.add('a', 1, 50)
    counts.add('a', 1, 20)
    assertEquals([...counts.entries()], [['a', { reads: 2, lastMs: 50 }]])
  })

  it('knows keys by a single counter', () => {
    const { found } = play(1, [
      { key: 'a', reads: 3 },
      { key: 'b', reads: 1 },
    ])
    assertEquals([...found.keys()], ['b'])
  })

  it('tells counts apart that are all large', () => {
    holds(
      20,
      Array.from({ length: 400 }, (_, at) => ({ key: `k:${at % 40}`, reads: 100 + (at % 7) * 50 })),
    )
  })
})
