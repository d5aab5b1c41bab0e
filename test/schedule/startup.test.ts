import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { warmOnStartup } from '../../src/schedule/startup.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { MemoryLocks } from '../fakes/locks.ts'
import { FakeSubmit } from './support.ts'

const settings = { startupDelayMs: 500 }

describe('warming at the start', () => {
  it('waits its delay, then warms everything once under the lock', async () => {
    const clock = new FakeClock()
    const [warmer, locks] = [new FakeSubmit(clock), new MemoryLocks()]
    warmer.hold = true
    const outcome = warmOnStartup({ settings, submit: warmer.submit, locks, clock })
    await clock.advance(499)
    assertEquals([warmer.jobs.length, locks.attempts.length], [0, 0])
    await clock.advance(1)
    const { signal, fence, ...request } = warmer.jobs[0]?.request ?? {}
    const traceId = warmer.jobs[0]?.traceId as string
    assertEquals(request, { traceId, source: 'startup' })
    assertEquals([fence?.key, locks.table.holderOf('warmup')], ['cache:warmup:fence', traceId])
    assertEquals(signal?.aborted, false)
    warmer.jobs[0]?.end('partial')
    const told = await outcome
    assertEquals(told.did === 'warmed' && told.result.status, 'partial')
    assertEquals([locks.table.held.size, clock.pending, warmer.jobs.length], [0, 0, 1])
  })

  it('leaves it to another instance that does', async () => {
    const clock = new FakeClock()
    const [warmer, locks] = [new FakeSubmit(clock), new MemoryLocks()]
    await locks.acquire('warmup', 'trace-of-another')
    const outcome = await clock.until(warmOnStartup({ settings, submit: warmer.submit, locks, clock }))
    assertEquals(outcome, { did: 'skipped', holder: 'trace-of-another' })
    assertEquals([warmer.jobs.length, locks.table.holderOf('warmup')], [0, 'trace-of-another'])
  })

  it('never rejects, and never warms where the lock can’t be had', async () => {
    const clock = new FakeClock()
    const [warmer, locks] = [new FakeSubmit(clock), new MemoryLocks()]
    const start = () => clock.until(warmOnStartup({ settings, submit: warmer.submit, locks, clock }))
    locks.isDown = true
    const away = await start()
    assertEquals([away.did === 'failed' && away.failure.code, warmer.jobs.length], ['STORE_UNREACHABLE', 0])
    locks.isDown = false
    warmer.error = new PrewarmError('USAGE', 'The configuration has no tasks')
    const empty = await start()
    assertEquals([empty.did === 'failed' && empty.failure.code, locks.table.held.size], ['USAGE', 0])
  })

  it('is stopped by its signal, before it begins and while it runs; and by the loss of the lock', async () => {
    const clock = new FakeClock()
    const [warmer, locks] = [new FakeSubmit(clock), new MemoryLocks()]
    warmer.hold = true
    const stop = new AbortController()
    const start = () => warmOnStartup({ settings, submit: warmer.submit, locks, clock, signal: stop.signal })
    const lost = start()
    await clock.advance(500)
    locks.table.take('warmup')
    const told = await lost
    assertEquals(told.did === 'warmed' && told.result.status, 'cancelled')
    const [running, waiting] = [start(), clock.advance(500).then(start)]
    await clock.advance(600)
    stop.abort()
    await turn()
    const ended = await running
    assertEquals(ended.did === 'warmed' && ended.result.status, 'cancelled')
    assertEquals(await waiting, { did: 'stopped' })
    assertEquals([warmer.jobs.length, locks.table.held.size, clock.pending], [2, 0, 0])
  })

  it('without locks it just warms', async () => {
    const clock = new FakeClock()
    const warmer = new FakeSubmit(clock)
    const outcome = await clock.until(warmOnStartup({ settings, submit: warmer.submit, clock }))
    assertEquals(outcome.did, 'warmed')
    assertEquals([warmer.jobs[0]?.request.fence, warmer.jobs[0]?.request.signal], [undefined, undefined])
  })
})
