import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { type BatchEnd, Member, type MemberOptions } from '../../src/pool/member.ts'
import { FakeClock, turn } from '../fakes/clock.ts'
import { type Behaviour, batchOf, FakeWorker, SETUP } from '../fakes/worker.ts'

function memberOf(behaviour: Behaviour = {}, more: Partial<MemberOptions> = {}) {
  const clock = new FakeClock()
  const worker = new FakeWorker(clock, behaviour)
  const lost: string[] = []
  const bounds = { readyTimeoutMs: 3000, silenceMs: 2000 }
  const onLost = (_: Member, reason: string) => void lost.push(reason)
  const member = new Member({ id: 1, port: worker.port, setup: SETUP, clock, ...bounds, onLost, ...more })
  return { clock, worker, lost, member }
}

const lostWith = (end: BatchEnd) => (end.status === 'lost' ? end.keys : end.status)

describe('Member', () => {
  it('ready waits for the worker to say so', async () => {
    const { member, worker } = memberOf()
    assertEquals([member.isReady, member.freeSlots], [false, 0])
    await member.ready
    assertEquals([member.isReady, member.freeSlots], [true, SETUP.slots])
    assertEquals(worker.received, [{ type: 'setup', setup: SETUP }])
  })

  it('ready rejects with what kept the worker from starting, which is then ended', async () => {
    const { member, worker, lost } = memberOf({
      setup: { code: 'STORE_UNREACHABLE', message: 'no Redis', detail: 'ECONNREFUSED' },
    })
    const error = await assertRejects(() => member.ready, PrewarmError, 'no Redis')
    assertEquals([error.code, error.detail], ['STORE_UNREACHABLE', 'ECONNREFUSED'])
    assertEquals([worker.terminated, lost], [1, ['no Redis']])
  })

  it('ready rejects when the worker never answers', async () => {
    const { member, clock, worker } = memberOf({ setup: 'silent' })
    const error = await clock.until(
      assertRejects(() => member.ready, PrewarmError),
      4000,
    )
    assertEquals([error.code, worker.terminated], ['WORKER_LOST', 1])
    assertEquals(clock.pending, 0)
  })

  it('run gives the report of its batch', async () => {
    const { member, clock } = memberOf()
    await member.ready
    const end = await member.run(batchOf(1, ['a', 'b']), 1000)
    assert(end.status === 'done')
    assertEquals(end.report.keys.written, 2)
    await clock.advance(60_000)
    assertEquals([member.isReady, member.running], [true, 0])
  })

  it('run gives the failure of its batch', async () => {
    const failure = { code: 'ORIGIN_TIMEOUT', message: 'slow' } as const
    const { member } = memberOf({
      batch: ({ id }, worker) => worker.say({ type: 'failed', id, failure, retryable: true }),
    })
    await member.ready
    assertEquals(await member.run(batchOf(1), 1000), { status: 'failed', failure, retryable: true })
  })

  it('run tells two batches apart', async () => {
    const { member, worker } = memberOf({ batch: () => {} })
    await member.ready
    const [first, second] = [member.run(batchOf(1, ['a']), 1000), member.run(batchOf(2, ['b', 'c']), 1000)]
    await turn()
    assertEquals([member.running, member.freeSlots], [2, 0])
    worker.done(batchOf(2, ['b', 'c']))
    worker.done(batchOf(1, ['a']))
    const written = (await Promise.all([first, second])).map((end) => end.status === 'done' && end.report.keys.written)
    assertEquals(written, [1, 2])
  })

  it('run ends as lost, with no keys, when the worker dies while it reads', async () => {
    const { member, worker, lost } = memberOf({ batch: () => {} })
    await member.ready
    const end = member.run(batchOf(1), 60_000)
    await turn()
    worker.exit('gone')
    assertEquals(lostWith(await end), 0)
    assertEquals([worker.terminated, lost], [1, ['gone']])
  })

  it('run ends as lost, with the keys it was writing, when the worker falls silent', async () => {
    const { member, clock, worker } = memberOf({ batch: ({ id }, one) => one.say({ type: 'writing', id, keys: 7 }) })
    await member.ready
    const end = member.run(batchOf(1), 60_000)
    await clock.advance(1000)
    worker.fallSilent()
    assertEquals(lostWith(await clock.until(end, 3000)), 7)
    assertEquals(clock.pending, 0)
  })

  it('run ends as lost at its deadline, also when the worker beats on', async () => {
    const { member, clock, worker } = memberOf({ batch: () => {} })
    await member.ready
    const [first, second] = [member.run(batchOf(1), 30_000), member.run(batchOf(2), 5000)]
    assertEquals(lostWith(await clock.until(second, 5000)), 0)
    assertEquals(lostWith(await first), 0)
    assertEquals([worker.terminated, clock.pending], [1, 0])
  })

  it('run on a worker that is gone ends as lost at once', async () => {
    const { member, worker } = memberOf()
    await member.ready
    worker.exit('gone')
    assertEquals(lostWith(await member.run(batchOf(1), 1000)), 0)
  })

  it('run ends, and does not reject, when its message cannot be posted', async () => {
    const { member } = memberOf()
    await member.ready
    const end = await member.run(batchOf(1, ['a'], { params: { fn: () => 1 } }), 1000)
    assert(end.status !== 'done')
    assertEquals([member.running, member.freeSlots], [0, SETUP.slots])
  })

  it('lose tells once, however often the worker dies', async () => {
    const { member, worker, lost } = memberOf()
    await member.ready
    worker.exit('first')
    worker.exit('second')
    member.lose('third')
    assertEquals(lost, ['first'])
  })

  it('cancel passes the word on only for a batch that runs', async () => {
    const { member, worker } = memberOf({ batch: () => {} })
    await member.ready
    void member.run(batchOf(1), 1000)
    member.cancel(1)
    member.cancel(2)
    await turn()
    assertEquals(
      worker.received.filter(({ type }) => type === 'cancel'),
      [{ type: 'cancel', id: 1 }],
    )
  })

  it('stop waits for the worker to close, then ends it; a second one does nothing', async () => {
    const { member, worker, lost, clock } = memberOf()
    await member.ready
    await member.stop(1000)
    await member.stop(1000)
    assertEquals(
      worker.received.map(({ type }) => type),
      ['setup', 'stop'],
    )
    assertEquals([worker.terminated, lost, clock.pending], [1, [], 0])
  })

  it('stop is bounded where the worker does not obey, and ends its batches', async () => {
    const { member, clock, worker } = memberOf({
      stop: 'ignore',
      batch: ({ id }, one) => one.say({ type: 'writing', id, keys: 3 }),
    })
    await member.ready
    const end = member.run(batchOf(1), 60_000)
    await clock.until(member.stop(1500), 1500)
    assertEquals(lostWith(await end), 3)
    assertEquals([worker.terminated, clock.pending], [1, 0])
  })

  it('stop ends a worker that is still starting at once', async () => {
    const { member, clock } = memberOf({ setup: 'silent' })
    await member.stop(1500)
    assertEquals((await assertRejects(() => member.ready, PrewarmError)).code, 'STOPPED')
    assertEquals([clock.elapsedMs, clock.pending], [0, 0])
  })
})
