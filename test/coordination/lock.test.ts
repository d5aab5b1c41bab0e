import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertThrows } from '@std/assert'
import type { Clock } from '../../src/clock.ts'
import { RedisLocks } from '../../src/coordination/lock.ts'
import type { HeldLock } from '../../src/coordination/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { held, locksContract } from '../contract/locks.contract.ts'
import { FakeClock } from '../fakes/clock.ts'
import type { FakeCommands } from '../fakes/commands.ts'
import { LockServer } from './lock-server.ts'

const TTL_MS = 30_000

function start() {
  const clock = new FakeClock()
  const server = new LockServer(clock)
  const connections = [server.connection(), server.connection()] as [FakeCommands, FakeCommands]
  const [one, other] = connections.map((commands) => new RedisLocks({ commands, clock })) as [RedisLocks, RedisLocks]
  return { clock, server, connections, one, other }
}

locksContract('RedisLocks on a model of Redis', async () => {
  const { one, other, server } = start()
  return {
    one,
    other,
    expire: async (name) => void server.locks.delete(`cache:warmup:lock:${name}`),
    cleanUp: async () => {},
  }
})

const codeOf = (lock: HeldLock) => (lock.lost.reason as PrewarmError | undefined)?.code

describe('RedisLocks', () => {
  it('acquire uses the documented keys', async () => {
    const { one, server } = start()
    assertEquals((await held(one, 'warmup')).fence.key, 'cache:warmup:fence')
    assertEquals((await held(one, 'daily')).fence.key, 'cache:warmup:fence:daily')
    assertEquals([...server.locks.keys()], ['cache:warmup:lock', 'cache:warmup:lock:daily'])
  })

  it('a lock is held for as long as its holder lives, and no timer is left once it is released', async () => {
    const { one, other, clock } = start()
    const lock = await held(one, 'warmup')
    for (let minute = 0; minute < 60; minute++) {
      await clock.advance(60_000)
      assertEquals([lock.lost.aborted, (await other.acquire('warmup', 'other')).held], [false, false])
    }
    await lock.release()
    assertEquals(clock.pending, 0)
  })

  it('a lock that nobody renews is free after its TTL, and its fence is newer', async () => {
    const { one, other, connections, clock } = start()
    const lock = await held(one, 'warmup')
    connections[0].isDown = true
    await clock.advance(TTL_MS - 1)
    assertEquals((await other.acquire('warmup', 'other')).held, false)
    await clock.advance(1)
    assert((await held(other, 'warmup')).fence.token > lock.fence.token)
  })

  it('lost aborts before the server lets another in, when Redis is away', async () => {
    const { one, server, connections, clock } = start()
    const lock = await held(one, 'warmup')
    connections[0].isDown = true
    await clock.advance(TTL_MS * 0.9 - 1)
    assertEquals(lock.lost.aborted, false)
    await clock.advance(1)
    assertEquals([lock.lost.aborted, codeOf(lock), clock.pending], [true, 'LOCK_LOST', 0])
    assert(server.held('cache:warmup:lock') !== undefined)
  })

  it('lost does not abort over an outage that ends in time', async () => {
    const { one, connections, clock } = start()
    const lock = await held(one, 'warmup')
    for (let round = 0; round < 5; round++) {
      connections[0].isDown = true
      await clock.advance(TTL_MS * 0.5)
      connections[0].isDown = false
      await clock.advance(TTL_MS * 0.2)
    }
    assertEquals(lock.lost.aborted, false)
    await lock.release()
  })

  it('lost counts from when a renewal was sent, not from its answer', async () => {
    const { one, connections, clock } = start()
    const lock = await held(one, 'warmup')
    // The server renews at 10 s and answers at 25 s; from then on nothing gets through.
    let isFirst = true
    connections[0].onCall = async () => {
      if (!isFirst) connections[0].isDown = true
      isFirst = false
      await clock.sleep(15_000)
    }
    await clock.advance(10_000 + TTL_MS * 0.9 - 1)
    assertEquals(lock.lost.aborted, false)
    await clock.advance(1)
    assertEquals(lock.lost.aborted, true)
  })

  it('lost aborts when somebody else has the lock, or it is gone', async () => {
    for (const isTaken of [true, false]) {
      const { one, other, server, clock } = start()
      const lock = await held(one, 'warmup')
      server.locks.clear()
      if (isTaken) await held(other, 'warmup', 'other')
      await clock.advance(TTL_MS / 3)
      assertEquals([lock.lost.aborted, codeOf(lock)], [true, 'LOCK_LOST'])
      await lock.release()
      assertEquals(server.held('cache:warmup:lock') !== undefined, isTaken)
    }
  })

  it('lost is seen by a process that slept before any of its timers has run', async () => {
    const clock = new FakeClock()
    const server = new LockServer(clock)
    let asleepMs = 0
    const sleepy: Clock = {
      nowMs: () => clock.nowMs(),
      nowNs: () => clock.nowNs() + asleepMs * 1e6,
      after: (ms, fn) => clock.after(ms, fn),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    }
    const lock = await held(new RedisLocks({ commands: server.connection(), clock: sleepy }), 'warmup')
    asleepMs = TTL_MS
    assertEquals(lock.lost.aborted, true)
  })

  it('a lock whose answer came after its TTL counts as lost at once', async () => {
    const { one, connections, clock } = start()
    connections[0].onCall = () => clock.tick(TTL_MS)
    assertEquals((await held(one, 'warmup')).lost.aborted, true)
  })

  it('acquire that got no answer leaves no lock behind that nobody knows of', async () => {
    const { one, other, connections, server } = start()
    const { script } = connections[0]
    connections[0].script = async (...args) => {
      await script.apply(connections[0], args)
      connections[0].script = script
      throw new PrewarmError('STORE_UNREACHABLE', 'no answer')
    }
    const error = await assertRejects(() => one.acquire('warmup', 'one'), PrewarmError)
    assertEquals(error.code, 'STORE_UNREACHABLE')
    await Promise.resolve()
    assertEquals(server.locks.size, 0)
    await held(other, 'warmup')
  })

  it('release never throws, and lost stays as it is afterwards', async () => {
    const { one, connections, clock } = start()
    const lock = await held(one, 'warmup')
    connections[0].isDown = true
    await lock.release()
    await lock.release()
    await clock.advance(TTL_MS)
    assertEquals([lock.lost.aborted, clock.pending], [false, 0])
  })

  it('tokens grow after the server was emptied', async () => {
    const { one, other, server, clock } = start()
    let last = 0
    for (const locks of [one, other, one, other]) {
      const { fence } = await held(locks, 'warmup')
      assert(fence.token > last)
      last = fence.token
      await clock.advance(5)
      server.flush()
    }
  })

  it('is refused where its options make no sense', () => {
    const { connections, clock } = start()
    const [commands] = connections
    for (const ttlMs of [0, 99, Number.NaN, 86_400_001])
      assertThrows(() => new RedisLocks({ commands, clock, ttlMs }), RangeError, String(ttlMs))
    assertThrows(() => new RedisLocks({ commands, clock, prefix: 'x' }), RangeError, "'x'")
  })
})
