import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import { Deadline } from '../../src/job/deadline.ts'
import { FakeClock } from '../fakes/clock.ts'

function deadlineOf(timeoutMs: number) {
  const clock = new FakeClock()
  const due: number[] = []
  return { clock, due, deadline: new Deadline(clock, timeoutMs, () => due.push(clock.elapsedMs)) }
}

describe('Deadline', () => {
  it('is due once, after its time', () => {
    const { clock, due } = deadlineOf(1000)
    clock.tick(999)
    assertEquals(due, [])
    clock.tick(5000)
    assertEquals(due, [1000])
  })

  it('time while it is held does not count, however often it is held', () => {
    const { clock, due, deadline } = deadlineOf(1000)
    for (let round = 0; round < 4; round++) {
      clock.tick(200)
      deadline.hold()
      deadline.hold()
      clock.tick(60_000)
      deadline.goOn()
      deadline.goOn()
    }
    clock.tick(199)
    assertEquals(due, [])
    clock.tick(1)
    assertEquals(due.length, 1)
  })

  it('end takes it back for good, also while it is held', () => {
    const { clock, due, deadline } = deadlineOf(1000)
    deadline.hold()
    deadline.end()
    clock.tick(60_000)
    assertEquals([due, clock.pending], [[], 0])
  })

  it('is not due at once where it is longer than a timer can be', async () => {
    let isDue = false
    const deadline = new Deadline(
      systemClock(() => performance.now() * 1e6),
      Number.POSITIVE_INFINITY,
      () => {
        isDue = true
      },
    )
    await new Promise((resolve) => setTimeout(resolve, 30))
    deadline.end()
    assertEquals(isDue, false)
  })

  it('once ended it is not set again: a job that only waits to be noted must not keep the process', () => {
    const { clock, due, deadline } = deadlineOf(1000)
    deadline.end()
    deadline.goOn()
    assertEquals([due, clock.pending], [[], 0])
  })
})
