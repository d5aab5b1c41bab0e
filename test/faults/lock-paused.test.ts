import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisLocks } from '../../src/coordination/lock.ts'
import type { LockAttempt } from '../../src/coordination/types.ts'
import { RedisStore } from '../../src/store/redis.ts'
import { clock, looker, until, withInstances } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const HOLDER = join(import.meta.dirname, 'fixtures', 'lock-holder.ts')
const TTL_MS = 1500

interface Line {
  n: number
  token: number
  isLost: boolean
  outcome: string
  code: string | null
}

describe('a process that sleeps past the TTL of its lock', () => {
  let server: RedisServer
  let redis: Redis
  let child: ChildProcess | undefined
  const lines: Line[] = []
  before(async () => {
    server = await startRedisServer()
    redis = looker(server.url)
  }, TIMEOUT)
  after(async () => {
    child?.kill('SIGKILL')
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)

  it('writes nothing over what the next holder has written, and sees that it has lost the lock', TIMEOUT, async () => {
    child = spawn(process.execPath, [HOLDER, server.url, String(TTL_MS), 'k'], { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => lines.push(JSON.parse(line)))
    // For longer than the TTL: it renews.
    const beganMs = Date.now()
    await until(() => lines.length > 5 && Date.now() - beganMs > 2 * TTL_MS)
    assert(
      lines.every(({ outcome, isLost }) => outcome === 'written' && !isLost),
      JSON.stringify(lines.at(-1)),
    )
    assertEquals(await redis.get('k'), 'stale')

    child.kill('SIGSTOP')
    await withInstances(server.url, 1, async (instances) => {
      const locks = new RedisLocks({ commands: instances[0] as (typeof instances)[0], clock, ttlMs: 30_000 })
      let next: LockAttempt | undefined
      await until(async () => {
        next = await locks.acquire('warmup', 'next')
        return next.held
      })
      assert(next?.held)
      assert(next.lock.fence.token > (lines[0] as Line).token)
      const store = new RedisStore({ url: server.url, clock })
      await store.connect(5000)
      const entry = { key: 'k', ttlMs: 600_000, encoded: { type: 'string' as const, value: 'newer' } }
      const { outcomes } = await store.write([entry], {
        ...{ mode: 'overwrite', versionField: null, timeoutMs: 5000, signal: new AbortController().signal },
        fence: next.lock.fence,
      })
      assertEquals(outcomes, ['written'])

      // Also once the next one has ended: the fence stays.
      for (const isHeld of [true, false]) {
        if (!isHeld) await next.lock.release()
        const before = lines.length
        child?.kill('SIGCONT')
        await until(() => lines.length > before + 5)
        child?.kill('SIGSTOP')
        // The first one had begun before it was stopped, and may have been answered then.
        const [first, ...told] = lines.slice(before) as [Line, ...Line[]]
        assert(first.outcome === 'written' || first.code === 'LOCK_LOST', JSON.stringify(first))
        for (const line of told) assertEquals([line.outcome, line.code, line.isLost], ['failed', 'LOCK_LOST', true])
        assertEquals(await redis.get('k'), 'newer')
      }
      await store.close()
    })
  })
})
