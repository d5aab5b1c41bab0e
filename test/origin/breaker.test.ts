import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { Breaker } from '../../src/origin/breaker.ts'
import { FakeClock, turn } from '../fakes/clock.ts'

const isDown = (result: string) => result === 'down'
const run = (breaker: Breaker, result: string) => breaker.run(async () => result, isDown)

async function fail(breaker: Breaker, times: number): Promise<void> {
  for (let at = 0; at < times; at++) await run(breaker, 'down')
}

/** A batch that ends when it is told to. */
function begin(breaker: Breaker): { end(result: string): Promise<string> } {
  let resolve!: (result: string) => void
  const ended = breaker.run(() => new Promise<string>((done) => (resolve = done)), isDown)
  return {
    end(result) {
      resolve(result)
      return ended
    },
  }
}

describe('Breaker', () => {
  it('state is free until five failures in a row', async () => {
    const breaker = new Breaker(new FakeClock())
    await fail(breaker, 4)
    assertEquals(breaker.state, { state: 'free' })
    await run(breaker, 'up')
    await fail(breaker, 4)
    assertEquals(breaker.state, { state: 'free' })
    await fail(breaker, 1)
    assertEquals(breaker.state, { state: 'held', retryInMs: 1000 })
  })

  it('run gives back the result, good or bad, and what the work throws', async () => {
    const breaker = new Breaker(new FakeClock())
    assertEquals(await run(breaker, 'up'), 'up')
    assertEquals(await run(breaker, 'down'), 'down')
    const thrown = new Error('thrown')
    assertEquals(await breaker.run(() => Promise.reject(thrown), isDown).catch((error) => error), thrown)
  })

  it('state holds twice as long each time, then is gone', async () => {
    const clock = new FakeClock()
    const breaker = new Breaker(clock)
    await fail(breaker, 5)
    for (const pauseMs of [1000, 2000, 4000]) {
      assertEquals(breaker.state, { state: 'held', retryInMs: pauseMs })
      clock.tick(pauseMs - 1)
      assertEquals(breaker.state, { state: 'held', retryInMs: 1 })
      clock.tick(1)
      assertEquals(breaker.state, { state: 'free' })
      await fail(breaker, 1)
    }
    assertEquals(breaker.state, { state: 'gone' })
  })

  it('state is free again after one success, and forgets the openings', async () => {
    const clock = new FakeClock()
    const breaker = new Breaker(clock)
    await fail(breaker, 5)
    clock.tick(1000)
    await run(breaker, 'up')
    assertEquals(breaker.state, { state: 'free' })
    await fail(breaker, 5)
    assertEquals(breaker.state, { state: 'held', retryInMs: 1000 })
  })

  it('state lets one batch through to find out, and holds the others until it knows', async () => {
    const clock = new FakeClock()
    const breaker = new Breaker(clock)
    await fail(breaker, 5)
    clock.tick(1000)
    const probe = begin(breaker)
    await turn()
    assertEquals(breaker.state, { state: 'held', retryInMs: 50 })
    await probe.end('up')
    assertEquals(breaker.state, { state: 'free' })
  })

  it('state holds the others also when a batch from before the opening ends meanwhile', async () => {
    for (const result of ['up', 'down']) {
      const clock = new FakeClock()
      const breaker = new Breaker(clock)
      const old = begin(breaker)
      await fail(breaker, 5)
      clock.tick(1000)
      const probe = begin(breaker)
      await turn()
      await old.end(result)
      assertEquals(breaker.state.state, 'held', `the old batch found the origin ${result}`)
      await probe.end('up')
      if (result === 'up') assertEquals(breaker.state, { state: 'free' })
    }
  })
})
