import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { type GateOptions, LoadGate } from '../../src/cache/gate.ts'
import { PrewarmError } from '../../src/errors.ts'
import { FakeClock, turn } from '../fakes/clock.ts'

function gateOf(maxLoads: number, maxWaiting: number, clock = new FakeClock()) {
  const inside = new AsyncLocalStorage<true>()
  const scope: GateOptions['scope'] = {
    isInside: () => inside.getStore() === true,
    enter: (work) => inside.run(true, work),
  }
  return new LoadGate({ maxLoads, maxWaiting, waitMs: 5000, clock, scope })
}

/** A gate whose loads end when they are told to. */
function create(maxLoads: number, maxWaiting: number) {
  const clock = new FakeClock()
  const gate = gateOf(maxLoads, maxWaiting, clock)
  const begun: number[] = []
  const ends = new Map<number, (error?: Error) => void>()
  const load = (id: number) =>
    gate.run(
      () =>
        new Promise<number>((resolve, reject) => {
          begun.push(id)
          ends.set(id, (error) => (error === undefined ? resolve(id) : reject(error)))
        }),
    )
  return { gate, clock, begun, load, end: (id: number, error?: Error) => ends.get(id)?.(error) }
}

describe('LoadGate', () => {
  it('lets so many loads run at once, the others in their turn', async () => {
    const { gate, begun, load, end } = create(2, 10)
    const all = [1, 2, 3, 4].map(load)
    assertEquals([begun, gate.running, gate.waiting], [[1, 2], 2, 2])
    end(2)
    await turn()
    assertEquals([begun, gate.running, gate.waiting], [[1, 2, 3], 2, 1])
    end(1)
    end(3)
    await turn()
    end(4)
    assertEquals(await Promise.all(all), [1, 2, 3, 4])
    assertEquals([gate.running, gate.waiting], [0, 0])
  })

  it('hands the place of a load that failed over', async () => {
    const { gate, begun, load, end } = create(1, 10)
    const first = load(1)
    const second = load(2)
    end(1, new Error('no luck'))
    await assertRejects(() => first, Error, 'no luck')
    await turn()
    assertEquals(begun, [1, 2])
    end(2)
    assertEquals([await second, gate.running], [2, 0])
  })

  it('refuses what would wait behind too many', async () => {
    const { load, end } = create(1, 1)
    const all = [load(1), load(2)]
    const error = await assertRejects(() => load(3), PrewarmError, 'maxLoads')
    assertEquals(error.code, 'RATE_LIMITED')
    end(1)
    await turn()
    end(2)
    assertEquals(await Promise.all(all), [1, 2])
  })

  it('lets nobody wait longer than waitMs, and passes over who waited too long', async () => {
    const { gate, clock, begun, load, end } = create(1, 10)
    const first = load(1)
    const late = assertRejects(() => load(2), PrewarmError, 'The load waited 5000 ms')
    await clock.advance(4000)
    const third = load(3)
    await clock.advance(1000)
    assertEquals([(await late).code, gate.waiting], ['RATE_LIMITED', 1])
    end(1)
    await turn()
    assertEquals([begun, gate.waiting, clock.pending], [[1, 3], 0, 0])
    end(3)
    assertEquals([await first, await third, gate.running], [1, 3, 0])
  })

  it('a load that another load begins needs no place of its own: it would wait for itself', async () => {
    const gate = gateOf(1, 10)
    const inner = () => gate.run(async () => 'inner')
    assertEquals(await gate.run(async () => `outer, ${await inner()}`), 'outer, inner')
    assertEquals(gate.running, 0)
  })

  it('hurries what a load waits for, queued or about to be, and gives no place away that there is not', async () => {
    const { gate, clock } = create(1, 10)
    const [queued, coming] = [{}, {}]
    const running: number[] = []
    const inner = async () => void running.push(gate.running)
    let later: Promise<void> | undefined
    const hold = Promise.withResolvers<void>()
    const outer = gate.run(async () => {
      await hold.promise
      gate.hurry(queued)
      gate.hurry(coming)
      await first
      await later
    })
    const first = gate.run(inner, [queued])
    const patient = gate.run(inner)
    gate.hurry(patient) // by nobody who has a place
    later = hold.promise.then(turn).then(() => gate.run(inner, [coming]))
    hold.resolve()
    await Promise.all([outer, first, later, patient])
    assertEquals([running, gate.running, gate.waiting, clock.pending], [[2, 2, 1], 0, 0, 0])
  })

  it('stays bounded and in order over many', async () => {
    const gate = gateOf(3, 10_000)
    let running = 0
    let most = 0
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 5000 }, (_, id) =>
        gate.run(async () => {
          order.push(id)
          most = Math.max(most, ++running)
          await Promise.resolve()
          running--
        }),
      ),
    )
    assertEquals([most, running, gate.running, gate.waiting], [3, 0, 0, 0])
    assertEquals(
      order,
      order.toSorted((a, b) => a - b),
    )
  })
})
