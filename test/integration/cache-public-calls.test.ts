import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { type Cache, createCache, defineConfig, type GetOptions, load, PrewarmError } from '../../src/index.ts'
import { cacheDesk } from '../support/public-cache.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }

describe('createCache: wrong calls, and where it finds its Redis', () => {
  let server: RedisServer
  let cache: Cache
  const desk = cacheDesk(() => server.url)
  before(async () => {
    server = await startRedisServer()
    const tasks = {
      films: load({ key: 'film:{id}', value: 'hash', load: () => [] }),
      texts: load({ key: 'text:{id}', value: 'string', load: () => [] }),
    }
    cache = await desk.open({ config: { tasks } })
  }, TIMEOUT)
  after(async () => {
    await desk.closeAll()
    await server.stop()
  }, TIMEOUT)

  /** A call that is wrong: the code, and what the message names. */
  const refuses = async (call: () => unknown, code: string, ...parts: string[]) => {
    const error = await assertRejects(async () => await call(), PrewarmError)
    assertEquals(error.code, code, error.message)
    for (const part of parts) assert(error.message.includes(part), `'${part}' is missing: ${error.message}`)
  }

  it('options of the cache: each names the option, its value and what is expected', TIMEOUT, async () => {
    const wrong: [object, ...string[]][] = [
      [{ ttl: '5m' }, 'ttl'],
      [{ defaultTtl: 'soon' }, 'defaultTtl', "'soon'", "'5m'"],
      [{ defaultTtl: 0 }, 'defaultTtl', '0'],
      [{ ttlJitter: 2 }, 'ttlJitter', '2', '0', '1'],
      [{ grace: -1 }, 'grace', '-1'],
      [{ negativeTtl: Number.NaN }, 'negativeTtl', 'NaN'],
      [{ redisTimeout: 0 }, 'redisTimeout', '0'],
      [{ loadTimeout: '0s' }, 'loadTimeout', "'0s'"],
      [{ waitTime: 'x' }, 'waitTime', "'x'"],
      [{ maxLoads: 0 }, 'maxLoads', '0', '1', '10000'],
      [{ maxLoads: 1.5 }, 'maxLoads', '1.5'],
      [{ maxWaitingLoads: 0 }, 'maxWaitingLoads', '0'],
      [{ refreshAhead: 101 }, 'refreshAhead', '101', '100'],
      [{ keyspaceEvents: 'yes' }, 'keyspaceEvents', "'yes'"],
      [{ memory: true }, 'memory', 'true', 'false'],
      [{ memory: { maxItems: 0 } }, 'memory', 'maxItems'],
      [{ memory: { size: 5 } }, 'memory', 'size'],
      [{ maxItems: 5 }, 'maxItems'],
    ]
    for (const [options, ...parts] of wrong) {
      await refuses(() => createCache({ redis: server.url, env: {}, ...options }), 'USAGE', ...parts)
    }
  })

  it('keys: empty, too long, no text, prewarm own', TIMEOUT, async () => {
    const keys = ['', 'x'.repeat(4097), 'prewarm:changes', 'cache:warmup:lock', 5 as unknown as string]
    for (const key of keys) {
      const calls = [
        () => cache.get(key),
        () => cache.getMany(['ok', key]),
        () => cache.set(key, 1),
        () => cache.setMany([['ok', 1], [key, 1]]), // biome-ignore format: pairs
        () => cache.delete('ok', key),
        () => cache.has(key),
        () => cache.warm(key, { load: () => 1 }),
      ]
      for (const call of calls) await refuses(call, 'KEY_INVALID', 'key is', 'expected text of 1 to 4096 characters')
    }
    assertEquals(await cache.has('ok'), false)
  })

  it('values that can not be kept: nothing is written', TIMEOUT, async () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    for (const value of [undefined, () => 1, Symbol('s'), 1n, circle]) {
      await refuses(() => cache.set('v', value), 'VALUE_INVALID', "'v'", 'Cannot encode JSON')
      await refuses(() => cache.setMany([['u', 1], ['v', value]]), 'VALUE_INVALID', "'v'", 'Cannot encode JSON') // biome-ignore format: pairs
    }
    await refuses(() => cache.set('text:1', { a: 1 }), 'VALUE_INVALID', "'text:1'")
    await refuses(() => cache.set('film:1', 'no hash'), 'VALUE_INVALID', "'film:1'")
    assertEquals(await cache.getMany(['u', 'v']), new Map())
  })

  it('what a loader returns that can not be kept is the reader own all the same', TIMEOUT, async () => {
    assertEquals(await cache.get('big', { load: () => 1n }), 1n)
    assertEquals(await cache.has('big'), false)
    await refuses(() => cache.getMany(['a', 'b'], () => [1]), 'ORIGIN_FAILED', 'a list of 1 for 2 keys')
    const wrong = (() => 5) as unknown as () => number[]
    await refuses(() => cache.getMany(['a', 'b'], wrong), 'ORIGIN_FAILED', '5', 'return a Map')
  })

  it('times, tags and versions of one call', TIMEOUT, async () => {
    const options: [GetOptions<unknown>, ...string[]][] = [
      [{ ttl: 'soon' as '1s' }, 'ttl', "'soon'", "'5m'"],
      [{ ttl: 0 }, 'ttl', '0'],
      [{ ttl: -5 }, 'ttl', '-5'],
      [{ ttl: Number.POSITIVE_INFINITY }, 'ttl', 'Infinity'],
      [{ ttl: '11y' as '1s' }, 'ttl', "'11y'"],
      [{ ttl: '600w' }, 'ttl', "'600w'"],
      [{ grace: -1 }, 'grace', '-1'],
      [{ negativeTtl: -1 }, 'negativeTtl', '-1'],
      [{ tags: [''] }, 'tags', "''"],
      [{ tags: ['x'.repeat(257)] }, 'tags', '256'],
      [{ tags: Array.from({ length: 33 }, (_, at) => `t${at}`) }, 'tags', '33', '32'],
      [{ tags: 'abc' as unknown as string[] }, 'tags is', "'abc'"],
    ]
    for (const [given, ...parts] of options) {
      await refuses(() => cache.get('k', { load: () => 1, ...given }), 'USAGE', ...parts)
      if (given.negativeTtl === undefined) await refuses(() => cache.set('k', 1, given), 'USAGE', ...parts)
    }
    assertEquals(await cache.has('k'), false)
    await refuses(() => cache.set('k', 1, { version: 1.5 }), 'VERSION_INVALID', '1.5')
    await refuses(() => cache.set('k', 1, { version: 'new' }), 'VERSION_INVALID', 'new')
    await refuses(() => cache.invalidateTags(''), 'USAGE', 'tags', "''")
  })

  it('clear without a prefix, warm without a loader', TIMEOUT, async () => {
    await refuses(() => cache.clear(''), 'USAGE', 'prefix', "''")
    await refuses(() => cache.clear(undefined as unknown as string), 'USAGE', 'prefix', 'undefined')
    await refuses(() => cache.warm('k', {}), 'USAGE', "'k'", 'give load')
  })

  it('Redis: by option, configuration, REDIS_URL, else an embedded one', TIMEOUT, async () => {
    const tasks = {}
    // Not the default of 50 ms, which a busy machine may need for an answer.
    const redisTimeout = '5s'
    const all = [
      await createCache({ redis: server.url, env: {}, redisTimeout }),
      await createCache({ config: defineConfig({ redis: server.url, tasks }), env: {}, redisTimeout }),
      await createCache({ env: { REDIS_URL: server.url }, redisTimeout }),
    ]
    await all[0]?.set('k', 'shared')
    for (const one of all) {
      assertEquals(await one.get('k'), 'shared')
      await one.close()
    }
    const embedded = await createCache({ env: {}, redisTimeout })
    try {
      assertEquals(await embedded.get('k'), undefined)
      assertEquals(await embedded.get('k', { load: () => 'own', tags: ['t'] }), 'own')
      assertEquals((await embedded.read('k')).tier, 'memory')
      await embedded.invalidateTags('t')
      assertEquals(await embedded.get('k'), undefined)
      assertEquals(await embedded.set('k', 1), 'written')
      assertEquals([await embedded.delete('k'), await embedded.has('k')], [1, false])
    } finally {
      await embedded.close()
    }
    // As in a configuration: nothing said.
    const empty = await createCache({ redis: '', env: { REDIS_URL: server.url }, redisTimeout })
    assertEquals(await empty.get('k'), 'shared')
    await empty.close()
  })

  it('no URL of a Redis: said at once, by the option or the variable; no password is shown', TIMEOUT, async () => {
    for (const redis of ['localhost:6379', 'http://127.0.0.1:1', 'tcp://user:secret@host', 5 as unknown as string]) {
      const call = () => createCache({ redis, env: {} })
      await refuses(call, 'USAGE', 'redis is', 'expected a URL that starts with redis:// or rediss://')
      assert(!String(await call().catch((error) => error)).includes('secret'))
    }
    await refuses(() => createCache({ env: { REDIS_URL: 'http://x' } }), 'CONFIG_INVALID', 'REDIS_URL', "'http://x'")
    await refuses(() => createCache({ file: '/nowhere.ts', env: {} }), 'CONFIG_NOT_FOUND', '/nowhere.ts')
  })

  it('a refused option leaves nothing behind that would keep the program', TIMEOUT, async () => {
    const index = join(import.meta.dirname, '..', '..', 'src', 'index.ts')
    // Without a URL: an embedded server has been started by then.
    const text = `import { createCache } from ${JSON.stringify(index)}
      await createCache({ env: {}, maxLoads: 0 }).catch(({ code }) => console.log(code))`
    const child = spawn(process.execPath, ['-e', text], { stdio: ['ignore', 'pipe', 'inherit'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    const [code] = await once(child, 'close')
    clearTimeout(timer)
    assertEquals([code, output.trim()], [0, 'USAGE'])
  })
})
