import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { BatchQueue, type Readiness } from '../../src/queue/batch-queue.ts'
import { check } from '../support/property.ts'

class FakeLane {
  readonly name: string
  readonly priority: number
  left: number
  state: Readiness = 'ready'

  constructor(name: string, priority: number, left: number) {
    this.name = name
    this.priority = priority
    this.left = left
  }
}

const readiness = (lane: FakeLane): Readiness => (lane.left === 0 ? 'ended' : lane.state)

/** Takes up to `count` batches; the names of the lanes that gave them. */
function take(queue: BatchQueue<FakeLane>, count = Number.POSITIVE_INFINITY): string[] {
  const taken: string[] = []
  while (taken.length < count) {
    const lane = queue.next(readiness)
    if (lane === undefined) break
    lane.left--
    taken.push(lane.name)
  }
  return taken
}

function queueOf(...lanes: FakeLane[]): BatchQueue<FakeLane> {
  const queue = new BatchQueue<FakeLane>()
  for (const lane of lanes) queue.add(lane)
  return queue
}

const lane = fc.record({ priority: fc.constantFrom(-1, 0, 50, 100), left: fc.integer({ min: 0, max: 30 }) })

describe('BatchQueue', () => {
  it('next takes the highest priority first, and every batch of every lane', () => {
    const property = fc.property(fc.array(lane, { maxLength: 12 }), (lanes) => {
      const made = lanes.map(({ priority, left }, at) => new FakeLane(`${priority}/${at}`, priority, left))
      const queue = queueOf(...made)
      const taken = take(queue)
      const priorities = taken.map((name) => Number.parseInt(name, 10))
      assertEquals(
        priorities,
        [...priorities].sort((a, b) => b - a),
      )
      for (const [at, { left }] of lanes.entries())
        assertEquals(taken.filter((name) => name === made[at]?.name).length, left)
      assertEquals(queue.size, 0)
    })
    check(property)
  })

  it('next goes round among equals, in the order they came', () => {
    const queue = queueOf(new FakeLane('a', 0, 3), new FakeLane('b', 0, 2), new FakeLane('c', 0, 1))
    assertEquals(take(queue), ['a', 'b', 'c', 'a', 'b', 'a'])
  })

  it('next lets a lane with 1000 batches hold up an equal that comes later by one round at most', () => {
    const property = fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 5 }), (before, others) => {
      const names = Array.from({ length: others }, (_, at) => `old${at}`)
      const queue = queueOf(...names.map((name) => new FakeLane(name, 0, 1000)))
      take(queue, before)
      queue.add(new FakeLane('late', 0, 20))
      const taken = take(queue, 10 * (others + 1))
      for (let from = 0; from < taken.length; from += others + 1)
        assert(taken.slice(from, from + others + 1).includes('late'), `round ${from}: ${taken}`)
    })
    check(property, 50)
  })

  it('next does not let a lane that came later, or that had to wait, hold up its equals either', () => {
    const [steady, paused] = [new FakeLane('steady', 0, 1000), new FakeLane('paused', 0, 1000)]
    const queue = queueOf(steady, paused)
    take(queue, 2)
    paused.state = 'waiting'
    assertEquals(new Set(take(queue, 300)), new Set(['steady']))
    paused.state = 'ready'
    queue.add(new FakeLane('late', 0, 1000))
    const taken = take(queue, 30)
    for (const name of ['steady', 'paused', 'late']) {
      const share = taken.filter((one) => one === name).length
      assert(share >= 9, `${name} gave ${share} of 30 batches`)
    }
  })

  it('next passes a waiting lane and comes back to it', () => {
    const [first, second] = [new FakeLane('first', 100, 2), new FakeLane('second', 0, 2)]
    const queue = queueOf(first, second)
    first.state = 'waiting'
    assertEquals(take(queue, 1), ['second'])
    first.state = 'ready'
    assertEquals(take(queue), ['first', 'first', 'second'])
  })

  it('next lets nobody overtake a lane that is blocked', () => {
    const [first, second] = [new FakeLane('first', 100, 1), new FakeLane('second', 0, 1)]
    const queue = queueOf(first, second)
    first.state = 'blocked'
    assertEquals(take(queue), [])
    assertEquals(queue.size, 2)
    first.state = 'ready'
    assertEquals(take(queue), ['first', 'second'])
  })

  it('next drops a lane that has ended and keeps the others', () => {
    const queue = queueOf(new FakeLane('ended', 100, 0), new FakeLane('alive', 0, 1))
    assertEquals(take(queue, 1), ['alive'])
    assertEquals(queue.next(readiness), undefined)
    assertEquals(queue.size, 0)
  })

  it('next loses no lane, whatever becomes of the others', () => {
    const states = fc.array(fc.tuple(fc.nat(7), fc.constantFrom<Readiness>('ready', 'waiting', 'blocked')), {
      maxLength: 40,
    })
    const property = fc.property(fc.array(lane, { minLength: 1, maxLength: 8 }), states, (lanes, changes) => {
      const made = lanes.map(({ priority, left }, at) => new FakeLane(String(at), priority, left))
      const queue = queueOf(...made)
      const taken: string[] = []
      for (const [at, state] of changes) {
        const changed = made[at]
        if (changed !== undefined) changed.state = state
        taken.push(...take(queue, 1))
      }
      for (const one of made) one.state = 'ready'
      taken.push(...take(queue))
      assertEquals(
        taken.length,
        lanes.reduce((sum, { left }) => sum + left, 0),
      )
    })
    check(property)
  })
})
