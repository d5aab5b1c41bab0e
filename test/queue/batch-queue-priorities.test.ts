import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import fc from 'fast-check'
import { BatchQueue, type Readiness } from '../../src/queue/batch-queue.ts'
import { check } from '../support/property.ts'

/** A lane whose batches have priorities of their own. */
class Scored {
  readonly name: string
  readonly left: number[]

  constructor(name: string, left: number[]) {
    this.name = name
    this.left = [...left]
  }

  get priority(): number {
    return this.left[0] ?? Number.NEGATIVE_INFINITY
  }
}

const readiness = (lane: Scored): Readiness => (lane.left.length === 0 ? 'ended' : 'ready')

/** Takes every batch, as a dispatcher does: the lane is asked first, and gives its batch then. */
function drain(queue: BatchQueue<Scored>, most = Number.POSITIVE_INFINITY): [name: string, priority: number][] {
  const taken: [string, number][] = []
  while (taken.length < most) {
    const lane = queue.next(readiness)
    if (lane === undefined) break
    taken.push([lane.name, lane.left.shift() as number])
  }
  return taken
}

const scores = fc
  .array(fc.oneof(fc.constantFrom(0, 1, 50), fc.double({ min: -1e6, max: 1e6, noNaN: true })), { maxLength: 20 })
  .map((all) => all.sort((a, b) => b - a))

describe('BatchQueue of batches with priorities', () => {
  it('next takes the batch of the highest priority of all lanes, each time', () => {
    const property = fc.property(fc.array(scores, { maxLength: 8 }), (lanes) => {
      const queue = new BatchQueue<Scored>()
      for (const [at, left] of lanes.entries()) queue.add(new Scored(String(at), left))
      const taken = drain(queue).map(([, priority]) => priority)
      assertEquals(
        taken,
        lanes.flat().sort((a, b) => b - a),
      )
    })
    check(property)
  })

  it('next goes round among lanes whose next batches are equal, though they came by different ways', () => {
    const queue = new BatchQueue<Scored>()
    queue.add(new Scored('falling', [9, 5, 5, 5]))
    queue.add(new Scored('level', [5, 5, 5]))
    queue.add(new Scored('late', [7, 5, 1]))
    assertEquals(
      drain(queue).map(([name]) => name),
      ['falling', 'late', 'level', 'falling', 'late', 'level', 'falling', 'level', 'falling', 'late'],
    )
  })

  it('next sees a priority that has risen since it was put in order: a batch that is due again', () => {
    const queue = new BatchQueue<Scored>()
    const [low, high] = [new Scored('low', [1, 1]), new Scored('high', [9, 8])]
    queue.add(low)
    queue.add(high)
    assertEquals(drain(queue, 1), [['high', 9]])
    low.left.unshift(100)
    assertEquals(drain(queue), [
      ['low', 100],
      ['high', 8],
      ['low', 1],
      ['low', 1],
    ])
  })
})
