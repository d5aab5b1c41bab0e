import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { load } from '../../src/index.ts'
import { bound, type Family, fillCold, fillHot, names, shareOf, tellReads } from '../support/full-redis.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, runJob, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const HOT = names('hot', 8000)
const NEW = names('new', 20_000)

describe('warming a Redis that is full', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await server.stop()
  }, TIMEOUT)
  beforeEach(async () => {
    await redis.config('SET', 'maxmemory', 0)
    await redis.flushall()
  }, TIMEOUT)

  /** By a warmer that has worked already: its connections took their memory before `fill` and the bound. */
  const warm = async (keys: string[], fill: () => Promise<void>, guard = true) => {
    const select = () => keys
    const values = (all: string[]) => new Map(all.map((key) => [key, { key, text: 'y'.repeat(900) }]))
    const tasks = { new: load({ key: '{name}:{id}', batchSize: 200, select, load: values }) }
    const config = { redis: server.url, workers: 0, maxOriginRps: 1_000_000, memory: { guard }, tasks }
    return withWarmer({ config }, async (warmer) => {
      await warmer.submit({ keys: ['first:1'] }).result
      await fill()
      return warmer.submit().result
    })
  }

  for (const family of ['lru', 'lfu'] as Family[]) {
    const policy = `allkeys-${family}`
    const fill = (cold: string[]) => async () => {
      await redis.config('SET', 'maxmemory-policy', policy)
      await fillCold(redis, cold, family)
      await fillHot(redis, HOT)
      await bound(redis)
    }

    for (const [what, cold] of [
      ['hot keys and cold ones', names('cold', 1000)],
      ['nothing but hot keys', []],
    ] as [string, string[]][]) {
      it(`${policy} that holds ${what} keeps the hot ones`, TIMEOUT, async () => {
        const { status, keys, memory, tasks } = await warm(NEW, fill(cold))
        const kept = await shareOf(redis, HOT)
        assert(kept >= 0.99, `${kept} of the hot keys are left`)
        assertEquals([status, keys.failed, keys.unknown], ['partial', 0, 0])
        assertEquals(keys.planned + (memory?.leftOut ?? 0), NEW.length)
        assertEquals([memory?.leftOut, memory?.isExact], [tasks[0]?.leftOut, true])
        assert((memory?.leftOut ?? 0) > 19_000, `${memory?.leftOut} were left out`)
        assert(memory?.reason.includes(policy), memory?.reason)
      })

      it(`${policy} that holds ${what} loses hot ones without the guard`, TIMEOUT, async () => {
        const { keys, memory } = await warm(NEW, fill(cold), false)
        assertEquals([keys.planned, memory], [NEW.length, undefined])
        const kept = await shareOf(redis, HOT)
        assert(kept < 0.97, `${kept} of the hot keys are left`)
      })
    }

    it(`${policy} gives the place of idle keys to keys that are read`, TIMEOUT, async () => {
      const cold = names('cold', 16_000)
      const wanted = NEW.slice(0, 4000)
      const { keys, memory } = await warm(NEW, async () => {
        await tellReads(redis, wanted, 60)
        await fill(cold)()
      })
      assertEquals(keys.planned + (memory?.leftOut ?? 0), NEW.length)
      assert(keys.written >= 3900, `${keys.written} were written`)
      const [hot, left] = [await shareOf(redis, HOT), await shareOf(redis, cold)]
      assert(hot >= 0.999 && left < 0.85, `${hot} of the hot keys are left, ${left} of the cold ones`)
    })

    it(`${policy} lets keys be written again that are there, though nothing else fits`, TIMEOUT, async () => {
      const { keys, memory } = await warm([...NEW.slice(0, 500), ...HOT, ...NEW.slice(500, 1000)], fill([]))
      const leftOut = memory?.leftOut ?? 0
      assertEquals(keys.written + leftOut, 9000)
      // What is on its way takes memory too, and nothing else is here that could go for it.
      assert(leftOut >= 1000 && leftOut < 1500, `${leftOut} were left out`)
      assertEquals(await shareOf(redis, NEW), 0)
    })
  }

  it('noeviction gets what fits, and refuses no key', TIMEOUT, async () => {
    const { status, keys, memory } = await warm(NEW, async () => {
      await redis.config('SET', 'maxmemory-policy', 'noeviction')
      await fillHot(redis, HOT)
      await bound(redis, 6_000_000)
    })
    assertEquals([status, keys.failed], ['partial', 0])
    assert(keys.written > 2000 && (memory?.leftOut ?? 0) > 0, `${keys.written} were written`)
    assertEquals(keys.written + (memory?.leftOut ?? 0), NEW.length)
    assertEquals(await shareOf(redis, NEW), keys.written / NEW.length)
  })

  it('noeviction refuses no key either where larger values replace what is there', TIMEOUT, async () => {
    const { keys, memory } = await warm([...HOT, ...NEW], async () => {
      await redis.config('SET', 'maxmemory-policy', 'noeviction')
      for (let at = 0; at < HOT.length; at += 500)
        await redis.mset(new Map(HOT.slice(at, at + 500).map((key) => [key, 'small'])))
      await bound(redis, 2_000_000)
    })
    assertEquals([keys.failed, keys.unknown], [0, 0])
    assert(keys.written > 800 && keys.written < 4000, `${keys.written} were written`)
    assertEquals(keys.written + (memory?.leftOut ?? 0), HOT.length + NEW.length)
  })

  it('room that is there is used, and nothing is dropped', TIMEOUT, async () => {
    const { keys, memory } = await warm(NEW, async () => {
      await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
      await fillHot(redis, HOT)
      await bound(redis, 8_000_000)
    })
    assert(keys.written > 4000 && keys.written < 9000, `${keys.written} were written`)
    assertEquals(memory?.evictedKeys, 0)
  })

  it('warms unguarded, and says so, as a user who may not ask for INFO', TIMEOUT, async () => {
    await redis.call('ACL', 'SETUSER', 'blind', 'on', '>secret', '~*', '&*', '+@all', '-info')
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await redis.config('SET', 'maxmemory', 100_000_000)
    const notices: string[] = []
    const tasks = {
      new: load({ key: 'new:{id}', select: () => [1, 2, 3], load: (all) => all.map((key) => ({ key })) }),
    }
    const config = { redis: server.url.replace('redis://', 'redis://blind:secret@'), workers: 0, tasks }
    const { status, keys } = await runJob({ config, onNotice: (text) => notices.push(text) })
    assertEquals([status, keys.written], ['success', 3])
    assertEquals(notices.filter((text) => text.includes('not guarded') && text.includes('NOPERM')).length, 1)
  })

  it('without maxmemory, and with more than enough of it, nothing is left out', TIMEOUT, async () => {
    for (const maxmemory of [0, 200_000_000]) {
      const { status, keys, memory } = await warm(NEW, async () => {
        await redis.flushall()
        await redis.config('SET', 'maxmemory', maxmemory)
      })
      assertEquals([status, keys.written, memory], ['success', NEW.length, undefined])
    }
  })
})
