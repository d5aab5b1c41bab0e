import { describe, it } from 'node:test'
import { assertEquals, assertRejects } from '@std/assert'
import { LoadGate } from '../../src/cache/gate.ts'
import { PrewarmError } from '../../src/errors.ts'
import { turn } from '../fakes/clock.ts'

/** A gate whose loads end when they are told to. */
function create(maxLoads: number, maxWaiting: number) {
  const gate = new LoadGate({ maxLoads, maxWaiting })
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
  return { gate, begun, load, end: (id: number, error?: Error) => ends.get(id)?.(error) }
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

  it('stays bounded and in order over many', async () => {
    const gate = new LoadGate({ maxLoads: 3, maxWaiting: 10_000 })
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
