import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { RateCounter } from '../../src/coordination/types.ts'
import type { FakeClock } from '../fakes/clock.ts'
import { checkAsync } from '../support/property.ts'

const steps = fc.array(
  fc.record({
    burst: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant(140)),
    /** Of the window. */
    wait: fc.oneof(fc.constantFrom(0, 1, 0.5), fc.double({ min: 0, max: 1.3, noNaN: true })),
  }),
  { maxLength: 12 },
)

/**
 * What every {@linkcode RateCounter} keeps to.
 *
 * @param make a counter that goes by `clock`; subjects are new to it
 * @param windowsMs short ones are none for a counter whose records go by the time of another clock
 */
export function rateCounterContract(
  name: string,
  make: () => { counter: RateCounter; clock: FakeClock },
  { runs, windowsMs = [1, 50, 1000, 60_000] }: { runs: number; windowsMs?: number[] },
) {
  const limits = fc.record({
    max: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom(100, 101, 130)),
    windowMs: fc.constantFrom(...windowsMs),
  })
  let subjects = 0
  const fresh = () => `test:${subjects++}`

  describe(`${name}, as a rate counter`, () => {
    it('lets no window whatever hold more than max, and uses all that is left of it', async () => {
      const property = fc.asyncProperty(limits, steps, async (limit, all) => {
        const { counter, clock } = make()
        const subject = fresh()
        const taken: number[] = []
        for (const { burst, wait } of all) {
          const counts = await Promise.all(Array.from({ length: burst }, () => counter.take(subject, limit)))
          const passed = counts.filter((count) => count.allowed).length
          const inWindow = taken.filter((atMs) => atMs > clock.elapsedMs - limit.windowMs).length
          const room = limit.max - inWindow
          assert(passed <= Math.max(0, Math.min(burst, room)), `${passed} of ${burst} passed, room for ${room}`)
          if (limit.max <= 100) assertEquals(passed, Math.min(burst, room))
          for (let n = 0; n < passed; n++) taken.push(clock.elapsedMs)
          clock.tick(Math.round(wait * limit.windowMs))
        }
      })
      await checkAsync(property, runs)
    })

    it('tells what is left, and a wait after which one more passes', async () => {
      const property = fc.asyncProperty(limits, steps, async (limit, all) => {
        const { counter, clock } = make()
        const subject = fresh()
        for (const { burst, wait } of all) {
          let last = await counter.take(subject, limit)
          for (let n = 1; n < burst; n++) last = await counter.take(subject, limit)
          assertEquals(last.limit, limit.max)
          assert(last.remaining >= 0 && last.remaining < limit.max)
          assert(last.resetInMs > 0 && last.resetInMs >= last.retryInMs)
          assertEquals(last.retryInMs > 0, last.remaining === 0)
          if (!last.allowed) {
            assertEquals(last.remaining, 0)
            clock.tick(Math.ceil(last.retryInMs) - 1)
            assertEquals((await counter.take(subject, limit)).allowed, false)
            clock.tick(1)
            assertEquals((await counter.take(subject, limit)).allowed, true)
          }
          clock.tick(Math.round(wait * limit.windowMs))
        }
      })
      await checkAsync(property, runs)
    })

    it('lets exactly 2 of 200 at once pass a limit of 2', async () => {
      const { counter } = make()
      const subject = fresh()
      const all = await Promise.all(
        Array.from({ length: 200 }, () => counter.take(subject, { max: 2, windowMs: 60_000 })),
      )
      assertEquals(all.filter(({ allowed }) => allowed).length, 2)
    })

    it('holds a large limit too where requests share an entry', async () => {
      const { counter, clock } = make()
      const subject = fresh()
      const limit = { max: 200, windowMs: 60_000 }
      const pass = async (calls: number) => {
        let passed = 0
        for (let n = 0; n < calls; n++) if ((await counter.take(subject, limit)).allowed) passed++
        return passed
      }
      assertEquals(await pass(1), 1)
      clock.tick(599)
      assertEquals(await pass(250), 199)
      clock.tick(60_000)
      assertEquals(await pass(10), 0)
      clock.tick(1)
      assertEquals(await pass(250), 200)
    })

    it('counts each subject by itself', async () => {
      const { counter } = make()
      const limit = { max: 1, windowMs: 60_000 }
      const [one, two] = [fresh(), fresh()]
      const all = [await counter.take(one, limit), await counter.take(two, limit), await counter.take(one, limit)]
      assertEquals(
        all.map(({ allowed }) => allowed),
        [true, true, false],
      )
    })

    it('does not count what it refuses', async () => {
      const { counter, clock } = make()
      const subject = fresh()
      const limit = { max: 1, windowMs: 60_000 }
      await counter.take(subject, limit)
      clock.tick(30_000)
      for (let n = 0; n < 50; n++) assertEquals((await counter.take(subject, limit)).retryInMs, 30_000)
      clock.tick(30_000)
      assertEquals((await counter.take(subject, limit)).allowed, true)
    })
  })
}
