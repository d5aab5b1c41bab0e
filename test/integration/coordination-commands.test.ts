import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import type { Redis } from 'ioredis'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { PrewarmError } from '../../src/errors.ts'
import { clock, commandsTo, looker, sleep, until } from '../support/coordination.ts'
import { type CutProxy, freePort, type RedisServer, startCutProxy, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const COUNT = { text: "return redis.call('INCRBY', KEYS[1], ARGV[1])" }

async function rejection(work: () => Promise<unknown>): Promise<PrewarmError> {
  return await assertRejects(work, PrewarmError)
}

const answers = (commands: RedisCommands) =>
  until(() =>
    commands.call('PING').then(
      () => true,
      () => false,
    ),
  )

describe('RedisCommands', () => {
  let server: RedisServer
  let url: string
  let proxy: CutProxy
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    url = server.url
    proxy = await startCutProxy(server.port)
    redis = looker(server.url)
  }, TIMEOUT)
  after(async () => {
    redis.disconnect()
    await proxy.stop()
    await server.stop()
  }, TIMEOUT)

  const withCommands = async (work: (commands: RedisCommands) => Promise<void>, timeoutMs?: number) => {
    const commands = commandsTo(`redis://127.0.0.1:${proxy.port}`, timeoutMs)
    try {
      await work(commands)
    } finally {
      await commands.close()
    }
  }

  it('connects with the first call only, under its own name', TIMEOUT, async () => {
    const commands = commandsTo(url)
    const named = async () => /name=prewarm-control /.test(String(await redis.client('LIST')))
    assertEquals(await named(), false)
    assertEquals(await commands.call('PING'), 'PONG')
    assertEquals(await named(), true)
    await commands.close()
    await until(async () => !(await named()))
  })

  it('call and script give Redis’ reply', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      assertEquals(await commands.call('SET', 'a', 5, 'PX', 60_000), 'OK')
      assertEquals(await commands.call('GET', 'a'), '5')
      assertEquals(await commands.call('GET', 'none'), null)
      assertEquals(await commands.script({ text: "return {1, 'x', false, {KEYS[1], ARGV[2]}}" }, ['k'], [1, 'é']), [
        ...[1, 'x', null],
        ['k', 'é'],
      ])
    })
  })

  it('script loads what the server does not know, also after it was told to forget', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      await redis.script('FLUSH')
      assertEquals(await commands.script(COUNT, ['n'], [2]), 2)
      await redis.script('FLUSH')
      assertEquals(await commands.script(COUNT, ['n'], [3]), 5)
      await redis.config('RESETSTAT')
      assertEquals(await commands.script(COUNT, ['n'], [1]), 6)
      assertEquals(/cmdstat_eval:/.test(await redis.info('commandstats')), false)
    })
  })

  it('what Redis refuses is STORE_REFUSED, with Redis’ own word', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      await commands.call('SET', 'text', 'x')
      const wrong = await rejection(() => commands.call('LPUSH', 'text', 'y'))
      assertEquals([wrong.code, wrong.detail], ['STORE_REFUSED', 'WRONGTYPE'])
      const broken = await rejection(() => commands.script({ text: 'return redis.call("NONE")' }, [], []))
      assertEquals([broken.code, broken.detail], ['STORE_REFUSED', 'ERR'])
    })
  })

  it('fails where nobody listens, without waiting for its bound, and hides the password', TIMEOUT, async () => {
    const commands = new RedisCommands({
      url: `redis://:hunter2@127.0.0.1:${await freePort()}`,
      clock,
      timeoutMs: 50_000,
    })
    for (let round = 0; round < 3; round++) {
      const error = await rejection(() => commands.call('PING'))
      assertEquals(error.code, 'STORE_UNREACHABLE')
      assert(!error.message.includes('hunter2'), error.message)
    }
    await commands.close()
  })

  it('a wrong password is told', TIMEOUT, async () => {
    const commands = commandsTo(url.replace('redis://', 'redis://nobody:hunter2@'))
    const error = await rejection(() => commands.call('PING'))
    assertEquals(error.code, 'STORE_UNREACHABLE')
    assert(/WRONGPASS/.test(error.message) && !error.message.includes('hunter2'), error.message)
    await commands.close()
  })

  it('a server that does not answer ends each call at its bound, and is used again when it does', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      await commands.call('PING')
      server.pause()
      const errors = await Promise.all([1, 2].map(() => rejection(() => commands.call('SET', 'late', 'x'))))
      assertEquals([...new Set(errors.map(({ code }) => code))], ['STORE_UNREACHABLE'])
      server.resume()
      await answers(commands)
    }, 200)
  })

  it('a call that waits for a connection past its bound is never carried out', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      proxy.stall()
      assertEquals((await rejection(() => commands.call('SET', 'ghost', 'x'))).code, 'STORE_UNREACHABLE')
      proxy.resume()
      await answers(commands)
      assertEquals(await redis.get('ghost'), null)
    }, 200)
  })

  it('a call that was given up before there was a new connection is never carried out over it', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      for (let round = 0; round < 5; round++) {
        await answers(commands)
        proxy.cutNow()
        await sleep(5)
        assertEquals((await rejection(() => commands.call('SET', 'ghost', 'x'))).code, 'STORE_UNREACHABLE')
      }
      await answers(commands)
      assertEquals(await redis.get('ghost'), null)
    }, 30)
  })

  it('a call after the connection was cut, or Redis restarted, goes over a new one', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      for (let round = 0; round < 5; round++) {
        assertEquals(await commands.call('PING'), 'PONG')
        proxy.cutNow()
        await answers(commands)
      }
      const { port } = server
      process.kill(server.pid, 'SIGKILL')
      await server.stop()
      assertEquals((await rejection(() => commands.call('PING'))).code, 'STORE_UNREACHABLE')
      server = await startRedisServer({ args: ['--port', String(port)] })
      await answers(commands)
    })
  })

  it('subscribe hears each message once, also after the connection was lost', TIMEOUT, async () => {
    await withCommands(async (commands) => {
      const heard: string[] = []
      const end = await commands.subscribe('news', (message) => heard.push(message))
      const subscribers = async () => Number((await redis.pubsub('NUMSUB', 'news'))[1])
      await redis.publish('news', 'one')
      await until(() => heard.length === 1)
      proxy.cutNow()
      await until(async () => (await subscribers()) === 0)
      await until(async () => (await subscribers()) === 1)
      await redis.publish('news', 'two')
      await redis.publish('other', 'no')
      await until(() => heard.length === 2)
      await end()
      assertEquals(await subscribers(), 0)
      await redis.publish('news', 'three')
      assertEquals([heard, await commands.call('PING')], [['one', 'two'], 'PONG'])
    })
  })

  it('two listeners on a channel are independent, and what one throws does not reach the other', TIMEOUT, async () => {
    const thrown: unknown[] = []
    const commands = new RedisCommands({ url, clock, onError: (error) => thrown.push(error) })
    const heard: string[] = []
    const endBad = await commands.subscribe('news', () => {
      throw new Error('mine')
    })
    const end = await commands.subscribe('news', (message) => heard.push(message))
    await redis.publish('news', 'one')
    await until(() => heard.length === 1)
    await endBad()
    await endBad()
    await redis.publish('news', 'two')
    await until(() => heard.length === 2)
    assertEquals(thrown.length, 1)
    await end()
    await commands.close()
  })

  it('close is safe twice, ends what waits, and calls after it fail', TIMEOUT, async () => {
    const commands = commandsTo(url)
    await commands.call('PING')
    const end = await commands.subscribe('news', () => {})
    server.pause()
    const waiting = rejection(() => commands.call('GET', 'a'))
    await Promise.all([commands.close(), commands.close()])
    assertEquals((await waiting).code, 'STORE_UNREACHABLE')
    server.resume()
    await end()
    assertEquals((await rejection(() => commands.call('PING'))).code, 'STORE_UNREACHABLE')
    assertEquals((await rejection(() => commands.subscribe('news', () => {}))).code, 'STORE_UNREACHABLE')
  })

  it('close lets the process end', TIMEOUT, async () => {
    const code = `
      import { clock, commandsTo } from '${import.meta.dirname}/../support/coordination.ts'
      const commands = commandsTo('${url}', 600_000)
      await commands.call('PING')
      await commands.subscribe('news', () => {})
      const gone = commandsTo('redis://127.0.0.1:1', 600_000)
      await gone.call('PING').catch(() => {})
      await Promise.all([commands.close(), gone.close()])`
    const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'inherit', stderr: 'inherit' })
    assertEquals(await child.exited, 0)
  })
})
