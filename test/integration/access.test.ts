import { after, before, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Redis } from 'ioredis'
import { systemClock } from '../../src/clock.ts'
import { RATE_SCRIPT, RedisRateCounter, sharedRateCounter } from '../../src/coordination/rate-counter.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import type { Commands } from '../../src/coordination/types.ts'
import { socketAddress } from '../../src/server/access/address.ts'
import { appWith, bearer, tokenWith } from '../access/support.ts'
import { rateCounterContract } from '../contract/rate-counter.contract.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type CutProxy, type RedisServer, startCutProxy, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
const MINUTE = { max: 2, windowMs: 60_000 }
const clock = systemClock(Bun.nanoseconds)

describe('rate limits in Redis', () => {
  let server: RedisServer
  let proxy: CutProxy
  let redis: Redis
  let commands: RedisCommands
  const opened: RedisCommands[] = []
  const open = (url: string) => {
    const one = new RedisCommands({ url, clock })
    opened.push(one)
    return one
  }

  before(async () => {
    server = await startRedisServer()
    proxy = await startCutProxy(server.port)
    redis = connect(server.url)
    commands = open(server.url)
  }, TIMEOUT)
  after(async () => {
    await Promise.all(opened.map((one) => one.close()))
    redis.disconnect()
    await proxy.stop()
    await server.stop()
  }, TIMEOUT)

  /** The script as it is, but for a time that a test sets. */
  const timed = (fake: FakeClock): Pick<Commands, 'script'> => {
    const text = RATE_SCRIPT.text.replace("redis.call('TIME')", '{ ARGV[4], ARGV[5] }')
    assert(text !== RATE_SCRIPT.text)
    return {
      script: (_, keys, args) => {
        const nowMs = fake.nowMs()
        return commands.script({ text }, keys, [...args, Math.floor(nowMs / 1000), (nowMs % 1000) * 1000])
      },
    }
  }

  rateCounterContract(
    'RedisRateCounter',
    () => {
      const fake = new FakeClock()
      return { clock: fake, counter: new RedisRateCounter(timed(fake)) }
    },
    { runs: 20, windowsMs: [60_000, 3_600_000] },
  )

  it('live under keys that go with their window and stay small', async () => {
    const counter = new RedisRateCounter(commands)
    for (let n = 0; n < 500; n++) await counter.take('test:small', { max: 1000, windowMs: 60_000 })
    assert((await redis.llen('prewarm:limit:test:small')) <= 102)
    const leftMs = await redis.pttl('prewarm:limit:test:small')
    assert(leftMs > 0 && leftMs <= 60_600, `${leftMs}`)
    await counter.take('test:short', { max: 2, windowMs: 20 })
    await until(async () => (await redis.exists('prewarm:limit:test:short')) === 0)
  })

  it('make nobody wait longer than two windows when the server’s clock is put back', async () => {
    const fake = new FakeClock()
    const counter = new RedisRateCounter(timed(fake))
    for (let n = 0; n < 2; n++) await counter.take('test:clock', MINUTE)
    const back = new RedisRateCounter(timed(new FakeClock(fake.nowMs() - 30_000)))
    const early = await back.take('test:clock', MINUTE)
    assertEquals([early.allowed, early.retryInMs], [false, 90_000])
    const farBack = new RedisRateCounter(timed(new FakeClock(fake.nowMs() - 3_600_000)))
    assertEquals((await farBack.take('test:clock', MINUTE)).allowed, true)
  })

  it('are shared by all instances: of 400 calls at once over two of them, 2 pass', TIMEOUT, async () => {
    const apps = [open(server.url), open(server.url)].map((one) => appWith({ counter: sharedRateCounter(one, clock) }))
    const headers = bearer(await tokenWith({ sub: 'shared' }))
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, n) => (apps[n % 2] as (typeof apps)[0]).ask('/warm/run', headers, 'POST')),
    )
    const count = (status: number) => answers.filter((answer) => answer.status === status).length
    assertEquals([count(200), count(429)], [2, 398])
    for (const { status, headers: told } of answers) {
      if (status !== 429) continue
      const seconds = Number(told.get('retry-after'))
      assert(seconds >= 1 && seconds <= 60, `${seconds}`)
    }
  })

  it('hold against 1000 calls over a real socket that each claim to be somebody else', TIMEOUT, async () => {
    const { app } = appWith({
      settings: { jwt: undefined },
      counter: sharedRateCounter(commands, clock),
      peerAddress: (c) => socketAddress(c.env, c.req.raw),
    })
    const listening = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: app.fetch })
    try {
      const statuses: number[] = []
      for (let n = 0; n < 1000; n += 50) {
        const some = Array.from({ length: 50 }, async (_, at) => {
          const headers = { 'x-forwarded-for': `10.${(n + at) >> 8}.${(n + at) & 255}.1`, connection: 'keep-alive' }
          const answer = await fetch(`${listening.url}warm/status`, { headers })
          await answer.arrayBuffer()
          return answer.status
        })
        statuses.push(...(await Promise.all(some)))
      }
      const count = (status: number) => statuses.filter((one) => one === status).length
      assertEquals([count(200), count(429)], [5, 995])
    } finally {
      await listening.stop(true)
    }
  })

  it('are by client behind a trusted proxy', async () => {
    const settings = { trustedProxies: ['127.0.0.1'] }
    const { ask } = appWith({ settings: { ...settings }, counter: sharedRateCounter(commands, clock) })
    const junk = (client: string) => ask('/warm/jobs', { ...bearer('x'), 'x-forwarded-for': client })
    for (let n = 0; n < 30; n++) assertEquals((await junk('203.0.113.77')).status, 401)
    assertEquals([(await junk('203.0.113.77')).status, (await junk('203.0.113.78')).status], [429, 401])
  })

  it('go on in memory when Redis goes, and in Redis when it is back', TIMEOUT, async () => {
    const own = open(`redis://127.0.0.1:${proxy.port}`)
    const fake = new FakeClock()
    const { ask } = appWith({ counter: sharedRateCounter(own, fake), clock: fake })
    const other = appWith({ counter: sharedRateCounter(commands, clock) })
    const [before, during, later] = await Promise.all(
      ['before', 'during', 'later'].map(async (sub) => bearer(await tokenWith({ sub }))),
    )
    const run = async (headers = {}, on = ask) => (await on('/warm/run', headers, 'POST')).status
    assertEquals([await run(before), await run(before), await run(before, other.ask)], [200, 200, 429])

    await proxy.refuse(true)
    proxy.cutNow()
    assertEquals([await run(before), await run(during), await run(during), await run(during)], [429, 200, 200, 429])
    const burst = await Promise.all(Array.from({ length: 200 }, () => run(later)))
    assertEquals(burst.filter((status) => status === 200).length, 2)

    await proxy.refuse(false)
    let n = 0
    const back = async () => {
      fake.tick(1001)
      const headers = bearer(await tokenWith({ sub: `probe-${n}` }))
      await run(headers)
      await run(headers)
      return (await run(bearer(await tokenWith({ sub: `probe-${n++}` })), other.ask)) === 429
    }
    await until(back)
  })

  it('go on in memory while Redis hangs', TIMEOUT, async () => {
    const own = new RedisCommands({ url: `redis://127.0.0.1:${proxy.port}`, clock, timeoutMs: 100 })
    opened.push(own)
    const counter = sharedRateCounter(own, clock)
    await counter.take('test:hang', { max: 3, windowMs: 60_000 })
    proxy.stall()
    try {
      const counts = []
      for (let at = 0; at < 4; at++)
        counts.push((await counter.take('test:hang', { max: 3, windowMs: 60_000 })).allowed)
      assertEquals(counts, [true, true, false, false])
    } finally {
      proxy.resume()
    }
  })
})
