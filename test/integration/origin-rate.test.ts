import { after, before, describe, it } from 'node:test'
import { assert } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { RedisSharedRate } from '../../src/coordination/shared-rate.ts'
import { OriginGuard } from '../../src/origin/guard.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const RPS = 200
const clock = systemClock(() => performance.now() * 1e6)

/** Takes `count` permits, waiting as the guard says. */
async function take(guard: OriginGuard, count: number): Promise<void> {
  for (let taken = 0; taken < count; ) {
    const permission = guard.ask('a', 1)
    if (permission.granted) {
      permission.permit.release()
      taken++
    } else await clock.sleep('retryInMs' in permission ? Math.min(permission.retryInMs ?? 5, 5) : 5)
  }
}

describe('OriginGuard, one rate for several instances through Redis', () => {
  let server: RedisServer
  const instances: { guard: OriginGuard; commands: RedisCommands }[] = []

  before(async () => {
    server = await startRedisServer()
    for (let at = 0; at < 3; at++) {
      const commands = new RedisCommands({ url: server.url, clock })
      const sharedRate = new RedisSharedRate({ commands, clock, maxRps: () => RPS })
      instances.push({ commands, guard: new OriginGuard({ maxRps: RPS, maxConcurrent: 100, clock, sharedRate }) })
    }
  })

  after(async () => {
    await Promise.all(instances.map(({ commands }) => commands.close()))
    await server.stop()
  })

  it('ask grants to all together what one may have', { timeout: 30_000 }, async () => {
    const startMs = performance.now()
    await Promise.all(instances.map(({ guard }) => take(guard, 100)))
    const elapsedS = (performance.now() - startMs) / 1000
    // 300 requests, of which a tenth of a second's worth was saved up; three rates of their own would take a third of it.
    assert(elapsedS >= (300 - RPS / 10) / RPS - 0.05, `${elapsedS} s`)
  })

  it('ask goes on by its own rate while Redis does not answer, and by the shared one after that', {
    timeout: 30_000,
  }, async () => {
    server.pause()
    let pausedMs = 0
    try {
      // Uses up what was leased and saved, and finds that nobody answers.
      await Promise.all(instances.map(({ guard }) => take(guard, 50)))
      pausedMs = performance.now()
      await Promise.all(instances.map(({ guard }) => take(guard, 100)))
    } finally {
      server.resume()
    }
    const pausedS = (performance.now() - pausedMs) / 1000
    assert(pausedS >= (100 - RPS / 10) / RPS - 0.05, `${pausedS} s: no open doors`)
    await clock.sleep(1200)
    await Promise.all(instances.map(({ guard }) => take(guard, 50)))
    const startMs = performance.now()
    await Promise.all(instances.map(({ guard }) => take(guard, 100)))
    const elapsedS = (performance.now() - startMs) / 1000
    // Each may still hold a tenth of a second's worth.
    assert(elapsedS >= (300 - (4 * RPS) / 10) / RPS - 0.05, `${elapsedS} s`)
  })
})
