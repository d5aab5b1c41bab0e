import net from 'node:net'
import process from 'node:process'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisLink } from '../../src/cache/redis-link.ts'
import { RedisTier } from '../../src/cache/redis-tier.ts'
import { PrewarmError } from '../../src/errors.ts'
import { clock, looker, sleep, until } from '../support/coordination.ts'
import { type CutProxy, freePort, type RedisServer, startCutProxy, startRedisServer } from '../support/servers.ts'
import { ask, leased, set, stateOf, textAt } from '../support/shared-tier.ts'

const TIMEOUT = { timeout: 60_000 }
/** Long enough that a Redis which answers is never taken for silent, also where it has to wait for its turn. */
const BOUND_MS = 1500

interface Told {
  keys: readonly string[] | null
  /** What the link said that it heard, at that moment. */
  hearing: string
}

describe('a cache whose connections fail', () => {
  let server: RedisServer
  /** Stays the same when the server is started anew. */
  let url: string
  let proxy: CutProxy
  let redis: Redis
  let link: RedisLink
  let tier: RedisTier
  let told: Told[]
  before(async () => {
    server = await startRedisServer()
    url = server.url
    proxy = await startCutProxy(server.port)
    redis = looker(url)
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await proxy.stop()
    await server.stop()
  }, TIMEOUT)

  beforeEach(async () => {
    await redis.flushall()
    told = []
    link = new RedisLink({
      ...{ url: `redis://127.0.0.1:${proxy.port}`, clock, timeoutMs: BOUND_MS },
      listener: { onChanged: (keys) => told.push({ keys, hearing: link.hearing }) },
    })
    tier = new RedisTier({ link, leaseMs: 5000, random: Math.random })
    await link.ready()
    assertEquals(link.hearing, 'tracking')
  }, TIMEOUT)
  afterEach(() => tier.close(), TIMEOUT)

  const lossesTold = () => told.filter(({ keys }) => keys === null)
  const idOf = async (name: string) =>
    new RegExp(`^id=(\\d+) .* name=${name} `, 'm').exec(String(await redis.client('LIST')))?.[1]

  /** From now on a change by another is heard, as often as there is one. */
  const hearsAgain = async () => {
    await until(() => link.hearing === 'tracking')
    for (const value of ['1', '2', '3']) {
      await until(() =>
        textAt(tier, 'k').then(
          () => true,
          () => false,
        ),
      )
      const from = told.length
      await redis.set('k', value)
      await until(() => told.slice(from).some(({ keys }) => keys?.includes('k')))
    }
    assertEquals(await textAt(tier, 'k'), '3')
  }

  for (const name of ['prewarm-cache', 'prewarm-cache-ear']) {
    it(`${name} is killed: memory is emptied, and what changes from then on is heard again`, TIMEOUT, async () => {
      for (let round = 1; round <= 3; round++) {
        await redis.call('CLIENT', 'KILL', 'ID', (await idOf(name)) as string)
        await until(() => lossesTold().length === round)
        assertEquals(lossesTold().at(-1)?.hearing, 'nothing')
        await hearsAgain()
      }
      assertEquals(lossesTold().length, 3)
    })
  }

  it('while the ear is away nothing is heard, though reads work', TIMEOUT, async () => {
    await redis.set('k', '1')
    await proxy.refuse(true)
    await redis.call('CLIENT', 'KILL', 'ID', (await idOf('prewarm-cache-ear')) as string)
    await until(() => lossesTold().length === 1)
    for (let round = 0; round < 20; round++) {
      assertEquals([await textAt(tier, 'k'), link.hearing], ['1', 'nothing'])
      await sleep(10)
    }
    await proxy.refuse(false)
    await hearsAgain()
  })

  it('a main connection that is away fails calls at once, and nothing is sent later', TIMEOUT, async () => {
    await proxy.refuse(true)
    proxy.cutNow()
    await until(() => link.hearing === 'nothing')
    // A clock that never ends: what would wait for the connection would wait for ever.
    for (const call of [() => tier.delete(['k']), () => set(tier, 'k', 'ghost'), () => tier.lease('k')]) {
      const error = await assertRejects(call, PrewarmError)
      assertEquals(error.code, 'STORE_UNREACHABLE')
    }
    await tier.release(['k'], { token: 'x', ticket: '1' })
    await proxy.refuse(false)
    await hearsAgain()
    assertEquals(await redis.keys('prewarm:*'), [])
  })

  it(
    'a server that stands still: calls end at their bound, memory is emptied without any, and all works again',
    TIMEOUT,
    async () => {
      server.pause()
      try {
        const error = await assertRejects(() => tier.read([ask('k')]), PrewarmError)
        assertEquals(error.code, 'STORE_UNREACHABLE')
        await until(() => lossesTold().length === 1)
        assertEquals(link.hearing, 'nothing')
        // A connection that the machine takes and the server does not greet is given up, and tried again.
        await assertRejects(() => tier.read([ask('k')]), PrewarmError)
      } finally {
        server.resume()
      }
      await hearsAgain()
      assertEquals(lossesTold().length, 1)
    },
  )

  it('connections that die without a word are noticed though nobody asks', TIMEOUT, async () => {
    proxy.stall()
    await until(() => lossesTold().length === 1)
    assertEquals(link.hearing, 'nothing')
    proxy.cutNow()
    proxy.resume()
    await hearsAgain()
  })

  it('where calls may take long, silence is noticed all the same, and no connection is dropped', TIMEOUT, async () => {
    const losses: (readonly string[] | null)[] = []
    const patient = new RedisLink({
      ...{ url: `redis://127.0.0.1:${proxy.port}`, clock, timeoutMs: 50_000 },
      listener: { onChanged: (keys) => keys === null && losses.push(keys) },
    })
    try {
      await patient.ready()
      const ids = async () =>
        [...String(await redis.client('LIST')).matchAll(/^id=(\d+) .* name=prewarm-cache/gm)].map(([, id]) => id)
      const before = await ids()
      proxy.stall()
      await until(() => losses.length === 1)
      assertEquals(patient.hearing, 'nothing')
      proxy.resume()
      await until(() => patient.hearing === 'tracking')
      assert(before.length >= 4 && (await ids()).filter((id) => before.includes(id)).length >= 2, `${before}`)
      assertEquals(losses.length, 1)
    } finally {
      proxy.resume()
      await patient.close()
    }
  })

  it('a call that was given up is not carried out when the connection comes to life', TIMEOUT, async () => {
    proxy.stall()
    await assertRejects(() => set(tier, 'ghost', 'x'), PrewarmError)
    proxy.resume()
    await hearsAgain()
    assertEquals(await redis.get('ghost'), null)
  })

  it(
    'a server that was started anew: nothing of before is trusted, and loads of before are refused',
    TIMEOUT,
    async () => {
      const lease = await leased(tier, 'k')
      const { port } = server
      process.kill(server.pid, 'SIGKILL')
      await server.stop()
      await until(() => lossesTold().length === 1)
      server = await startRedisServer({ args: ['--port', String(port)] })
      await until(() => link.hearing === 'tracking')
      const late = { key: 'k', ttlMs: 60_000, encoded: { type: 'string' as const, value: 'old' } }
      const [filled] = await tier.fill([late], { lease, replace: false, filledBy: 'read' })
      assertEquals([filled?.outcome, await stateOf(tier, 'k')], ['skipped_newer', 'missing'])
      await hearsAgain()
    },
  )

  it('a connection that is lost while it is being listened to is listened to anew', TIMEOUT, async () => {
    for (let round = 0; round < 30; round++) {
      proxy.cutNow()
      await sleep(round * 3)
    }
    await hearsAgain()
  })

  it('a busy server keeps it from hearing only for as long', TIMEOUT, async () => {
    await redis.config('SET', 'busy-reply-threshold', '20')
    const looper = looker(url)
    const endless = looper.eval('while true do end', 0).catch(() => {})
    try {
      await until(() =>
        redis.ping().then(
          () => false,
          (error: Error) => error.message.startsWith('BUSY'),
        ),
      )
      proxy.cutNow()
      await until(() => link.hearing === 'nothing')
    } finally {
      await redis.script('KILL')
      await endless
      looper.disconnect()
    }
    await hearsAgain()
  })

  it(
    'where nobody listens it fails without waiting, hides the password, and connects once somebody does',
    TIMEOUT,
    async () => {
      const port = await freePort()
      const notices: string[] = []
      const other = new RedisLink({
        ...{ url: `redis://:hunter2@127.0.0.1:${port}`, clock, timeoutMs: 50_000 },
        ...{ listener: { onChanged: () => {} }, onNotice: (message: string) => notices.push(message) },
      })
      const error = await assertRejects(() => other.ready(), PrewarmError)
      assertEquals(error.code, 'STORE_UNREACHABLE')
      assert(!error.message.includes('hunter2'), error.message)
      await assertRejects(() => other.script({ text: 'return 1' }, [], []), PrewarmError)
      const late = await startRedisServer({ args: ['--port', String(port), '--requirepass', 'hunter2'] })
      await until(() => other.hearing === 'tracking')
      assertEquals([await other.script({ text: 'return 1' }, [], []), notices], [1, []])
      await other.close()
      await late.stop()
    },
  )

  it('a server that takes connections and never greets is tried again and again', TIMEOUT, async () => {
    let connections = 0
    const mute = net.createServer((socket) => {
      connections++
      socket.on('error', () => {})
      socket.resume()
    })
    await new Promise<void>((resolve) => void mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as net.AddressInfo
    const other = new RedisLink({
      ...{ url: `redis://127.0.0.1:${port}`, clock, timeoutMs: 100 },
      listener: { onChanged: () => {} },
    })
    try {
      await until(() => connections >= 6)
      assertEquals(other.hearing, 'nothing')
      await assertRejects(() => other.script({ text: 'return 1' }, [], []), PrewarmError)
    } finally {
      await other.close()
      mute.close()
    }
  })

  it('close is safe twice, empties memory, fails what waits, and lets the process end', TIMEOUT, async () => {
    server.pause()
    const waiting = assertRejects(() => tier.read([ask('k')]), PrewarmError)
    await Promise.all([tier.close(), tier.close()])
    assertEquals((await waiting).code, 'STORE_UNREACHABLE')
    server.resume()
    assertEquals(told, [{ keys: null, hearing: 'nothing' }])
    await assertRejects(() => tier.read([ask('k')]), PrewarmError)
    const code = `
      import { RedisLink } from '${import.meta.dirname}/../../src/cache/redis-link.ts'
      import { clock } from '${import.meta.dirname}/../support/coordination.ts'
      const options = { clock, listener: { onChanged: () => {} }, timeoutMs: 600_000 }
      const link = new RedisLink({ ...options, url: '${url}' })
      await link.ready()
      const gone = new RedisLink({ ...options, url: 'redis://127.0.0.1:1' })
      await gone.ready().catch(() => {})
      await Promise.all([link.close(), gone.close(), new RedisLink({ ...options, url: '${url}' }).close()])`
    const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'inherit', stderr: 'inherit' })
    assertEquals(await child.exited, 0)
  })
})
