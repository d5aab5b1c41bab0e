import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { RedisLocks } from '../../src/coordination/lock.ts'
import type { RedisCommands } from '../../src/coordination/redis-commands.ts'
import type { PrewarmError } from '../../src/errors.ts'
import { held } from '../contract/locks.contract.ts'
import { clock, commandsTo, sleep, until, withInstances } from '../support/coordination.ts'
import { type CutProxy, type RedisServer, startCutProxy, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const TTL_MS = 900
const codeOf = (signal: AbortSignal) => (signal.reason as PrewarmError).code

describe('a lock whose Redis', () => {
  let server: RedisServer
  let proxy: CutProxy
  before(async () => {
    server = await startRedisServer()
    proxy = await startCutProxy(server.port)
  }, TIMEOUT)
  after(async () => {
    await proxy.stop()
    await server.stop()
  }, TIMEOUT)
  const locksOf = (commands: RedisCommands | undefined, ttlMs = TTL_MS) =>
    new RedisLocks({ commands: commands as RedisCommands, clock, ttlMs })
  /** An instance that reaches Redis through the proxy, and one that does so directly. */
  const withBoth = (work: (one: RedisLocks, other: RedisLocks) => Promise<void>, ttlMs = TTL_MS) =>
    withInstances(server.url, 1, async ([direct]) => {
      const commands = commandsTo(`redis://127.0.0.1:${proxy.port}`, 1000)
      try {
        await work(locksOf(commands, ttlMs), locksOf(direct))
      } finally {
        await commands.close()
      }
    })

  it('connection is cut again and again stays held: it is renewed over the next one', TIMEOUT, async () => {
    const ttlMs = 3000
    await withBoth(async (one, other) => {
      const lock = await held(one, 'cut')
      for (let round = 0; round < 10; round++) {
        proxy.cutNow()
        await sleep(ttlMs / 6)
        assert(!(await other.acquire('cut', 'other')).held)
      }
      assertEquals(lock.lost.aborted, false)
      await lock.release()
      await (await held(other, 'cut')).release()
    }, ttlMs)
  })

  for (const how of ['refuses connections', 'does not answer'] as const) {
    it(`${how} for longer than the TTL is lost, before anybody else has it`, TIMEOUT, async () => {
      await withBoth(async (one, other) => {
        const lock = await held(one, how.replaceAll(' ', '-'))
        let isLostFirst: boolean | undefined
        if (how === 'does not answer') proxy.stall()
        else {
          await proxy.refuse(true)
          proxy.cutNow()
        }
        await until(async () => {
          const attempt = await other.acquire(how.replaceAll(' ', '-'), 'other')
          if (!attempt.held) return false
          isLostFirst = lock.lost.aborted
          assert(attempt.lock.fence.token > lock.fence.token)
          await attempt.lock.release()
          return true
        })
        assertEquals([isLostFirst, codeOf(lock.lost)], [true, 'LOCK_LOST'])
        if (how === 'does not answer') proxy.resume()
        else await proxy.refuse(false)
        await lock.release()
      })
    })
  }

  it('is restarted empty is lost, and the next holder has a newer fence', TIMEOUT, async () => {
    await withInstances(server.url, 2, async ([a, b]) => {
      const lock = await held(locksOf(a), 'restart')
      const { port } = server
      process.kill(server.pid, 'SIGKILL')
      await server.stop()
      server = await startRedisServer({ args: ['--port', String(port)] })
      await until(() => lock.lost.aborted)
      assertEquals(codeOf(lock.lost), 'LOCK_LOST')
      let token = 0
      await until(async () => {
        const attempt = await locksOf(b)
          .acquire('restart', 'next')
          .catch(() => undefined)
        if (attempt?.held) {
          token = attempt.lock.fence.token
          await attempt.lock.release()
        }
        return attempt?.held === true
      })
      assert(token > lock.fence.token, `${token} after ${lock.fence.token}`)
    })
  })
})
