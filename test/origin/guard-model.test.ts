import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import type { SharedRate } from '../../src/coordination/types.ts'
import type { EmergencyChange } from '../../src/origin/emergency.ts'
import { OriginGuard, type Permit } from '../../src/origin/guard.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { checkAsync } from '../support/property.ts'

const TASKS = ['a', 'b', 'c']

const step = fc.record({
  task: fc.constantFrom(...TASKS),
  requests: fc.integer({ min: 1, max: 60 }),
  waitMs: fc.oneof(fc.constant(0), fc.nat(20), fc.nat(6000)),
  /** How many of the permits that are out come back, and what they saw. */
  releases: fc.nat(4),
  seen: fc.oneof(
    { weight: 6, arbitrary: fc.record({ latencyMs: fc.nat(4000), isDown: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ latencyMs: fc.nat(10), isDown: fc.boolean(), retryAfterMs: fc.nat(9000) }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
})

const shape = fc.record({
  maxRps: fc.constantFrom(1, 10, 100, 5000),
  maxConcurrent: fc.integer({ min: 1, max: 12 }),
  shared: fc.constantFrom('none', 'all', 'half', 'away'),
})

/** What all instances share, as a test wants it; it may grant more than there is. */
function sharedRate(kind: string): SharedRate | undefined {
  if (kind === 'none') return undefined
  return {
    lease: async (wanted) =>
      kind === 'away' ? null : { granted: kind === 'all' ? wanted : Math.ceil(wanted / 2), retryInMs: 20 },
  }
}

describe('OriginGuard, any sequence of asks, ends and time', () => {
  it('ask keeps to the rate, to the batches at once, to times to wait and to stops', async () => {
    const heldBy = new Map<Permit, string>()
    const property = fc.asyncProperty(shape, fc.array(step, { maxLength: 150 }), async (options, steps) => {
      const { maxRps, maxConcurrent } = options
      const clock = new FakeClock()
      const changes: EmergencyChange[] = []
      const guard = new OriginGuard({
        maxRps,
        maxConcurrent,
        clock,
        sharedRate: sharedRate(options.shared),
        onEmergency: (change) => changes.push(change),
      })
      const out: Permit[] = []
      const granted: { atS: number; requests: number }[] = []
      const heldUntilMs: Record<string, number> = {}
      for (const { task, requests, waitMs, releases, seen } of steps) {
        const before = guard.state
        const permission = guard.ask(task, requests)
        await turn()
        if (permission.granted) {
          assert(clock.elapsedMs >= (heldUntilMs[task] ?? 0), `${task} was held`)
          assert(before.emergency !== 'stopped', 'it was stopped')
          assert(before.inFlight < before.concurrency)
          granted.push({ atS: clock.elapsedMs / 1000, requests })
          out.push(permission.permit)
          heldBy.set(permission.permit, task)
        } else if ('retryInMs' in permission) {
          // Nobody waits for ever: there is a time to come back at, or a permit that will come back.
          assert(permission.retryInMs !== null ? permission.retryInMs > 0 : out.length > 0)
        }
        assert(guard.state.inFlight === out.length && out.length <= maxConcurrent)
        clock.tick(waitMs)
        for (const permit of out.splice(0, releases)) {
          if (seen === undefined) permit.release()
          else {
            const { latencyMs, ...rest } = seen
            permit.release({ requests: 2, durationNs: latencyMs * 2e6, ...rest })
            const owner = heldBy.get(permit) as string
            const untilMs = clock.elapsedMs + ('retryAfterMs' in rest ? rest.retryAfterMs : 0)
            heldUntilMs[owner] = Math.max(heldUntilMs[owner] ?? 0, untilMs)
          }
        }
        const { concurrency, emergency } = guard.state
        assert(concurrency >= 1 && concurrency <= maxConcurrent)
        assertEquals(changes.at(-1)?.change === 'stop', emergency !== 'none')
      }
      const capacity = Math.max(1, maxRps / 10)
      for (const [first, from] of granted.entries()) {
        let sum = 0
        let largest = 0
        for (const to of granted.slice(first)) {
          sum += to.requests
          largest = Math.max(largest, to.requests)
          const most = maxRps * (to.atS - from.atS) + capacity + Math.max(0, largest - capacity)
          assert(sum <= most + 1e-3, `${sum} of ${most} in ${to.atS - from.atS} s`)
        }
      }
    })
    await checkAsync(property, 300)
  })

  it('ask always grants again in the end, whatever happened', async () => {
    await checkAsync(
      fc.asyncProperty(shape, fc.array(step, { maxLength: 100 }), async (options, steps) => {
        const clock = new FakeClock()
        const { maxRps, maxConcurrent } = options
        const guard = new OriginGuard({ maxRps, maxConcurrent, clock, sharedRate: sharedRate(options.shared) })
        const out: Permit[] = []
        for (const { task, requests, waitMs, releases, seen } of steps) {
          const permission = guard.ask(task, requests)
          if (permission.granted) out.push(permission.permit)
          await turn()
          clock.tick(waitMs)
          for (const permit of out.splice(0, releases)) {
            if (seen === undefined) permit.release()
            else permit.release({ ...seen, requests: 1, durationNs: seen.latencyMs * 1e6 })
          }
        }
        for (const permit of out) permit.release()
        let grants = 0
        for (let at = 0; at < 500 && grants < 10; at++) {
          const permission = guard.ask('a', 20)
          if (permission.granted) {
            permission.permit.release({ requests: 20, durationNs: 20e6, isDown: false })
            grants++
          } else assert('retryInMs' in permission && permission.retryInMs !== null)
          await turn()
          if (!permission.granted && 'retryInMs' in permission) clock.tick(Math.min(permission.retryInMs ?? 0, 5000))
        }
        assertEquals([grants, guard.state.emergency], [10, 'none'])
      }),
      200,
    )
  })
})
