/** Cache libraries read what the warmer wrote for them: a hit, and the library's own loader is not asked. */
import { after, before, describe, it } from 'node:test'
import { cachified } from '@epic-web/cachified'
import KeyvRedis, { createKeyv } from '@keyv/redis'
import { assert, assertEquals } from '@std/assert'
import { BentoCache, bentostore } from 'bentocache'
import { redisDriver } from 'bentocache/drivers/redis'
import { createCache } from 'cache-manager'
import { Cacheable } from 'cacheable'
import Keyv from 'keyv'
import { createStorage } from 'unstorage'
import unstorageRedis from 'unstorage/drivers/redis'
import { defineConfig, load } from '../../src/index.ts'
import type { JobResult, ValueSpec } from '../../src/types.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, runJob, until } from '../support/warming.ts'

const TTL_MS = 60_000
const FILM = {
  title: ':Brazil "1985"',
  rate: 4.99,
  seen: null,
  tags: ['a', '12'],
  nested: { at: '1985-02-20T00:00:00.000Z' },
}
/** What the library's loader gives: another value, so that it can't be taken for the warmed one. */
const LOADED = { title: 'loaded' }

/** One library, opened on a server, as its own documentation sets it up. */
interface Reader {
  name: string
  value: ValueSpec
  /** The task's key template for the library's key `film:1`. */
  key: string
  open(server: RedisServer): {
    /** The library's read with its loader, which gives {@linkcode LOADED}. */
    read(loader: () => Promise<typeof LOADED>): Promise<unknown>
    close(): Promise<unknown> | unknown
  }
}

const keyvReader = (name: string, key: string, open: (url: string) => Keyv): Reader => ({
  name,
  value: 'keyv',
  key,
  open({ url }) {
    const keyv = open(url)
    return { read: async (loader) => (await keyv.get('film:1')) ?? loader(), close: () => keyv.disconnect() }
  },
})

const bentoReader = (name: string, key: string, namespace: string | null): Reader => ({
  name,
  value: 'bentocache',
  key,
  open({ port }) {
    const driver = redisDriver({ connection: { host: '127.0.0.1', port } })
    const bento = new BentoCache({ default: 'films', stores: { films: bentostore().useL2Layer(driver) } })
    const cache = namespace === null ? bento.use('films') : bento.use('films').namespace(namespace)
    return {
      read: (factory) => cache.getOrSet({ key: 'film:1', ttl: '1m', factory }),
      close: () => bento.disconnectAll(),
    }
  },
})

const READERS: Reader[] = [
  keyvReader('Keyv by createKeyv', 'film:{id}', (url) => createKeyv(url)),
  keyvReader('Keyv by createKeyv with a namespace', 'app::film:{id}', (url) => createKeyv(url, { namespace: 'app' })),
  keyvReader('Keyv over KeyvRedis', 'keyv::keyv:film:{id}', (url) => new Keyv({ store: new KeyvRedis(url) })),
  keyvReader('Keyv over KeyvRedis with a namespace', 'app::app:film:{id}', (url) => {
    return new Keyv({ store: new KeyvRedis(url), namespace: 'app' })
  }),
  {
    name: 'cache-manager',
    value: 'keyv',
    key: 'film:{id}',
    open({ url }) {
      const cache = createCache({ stores: [createKeyv(url)] })
      return { read: (loader) => cache.wrap('film:1', loader, TTL_MS), close: () => cache.disconnect() }
    },
  },
  {
    name: 'cacheable',
    value: 'keyv',
    key: 'film:{id}',
    open({ url }) {
      const cache = new Cacheable({ secondary: createKeyv(url) })
      return { read: (loader) => cache.getOrSet('film:1', loader, { ttl: TTL_MS }), close: () => cache.disconnect() }
    },
  },
  bentoReader('bentocache', 'bentocache:film:{id}', null),
  bentoReader('bentocache in a namespace', 'bentocache:shop:film:{id}', 'shop'),
  {
    name: 'unstorage',
    value: 'unstorage',
    key: 'app:film:{id}',
    open({ url }) {
      const storage = createStorage({ driver: unstorageRedis({ url, base: 'app' }) })
      return { read: async (loader) => (await storage.getItem('film:1')) ?? loader(), close: () => storage.dispose() }
    },
  },
  {
    name: 'cachified',
    value: 'cachified',
    key: 'film:{id}',
    open({ url }) {
      const redis = connect(url)
      // As cachified-redis-adapter does it.
      const cache = {
        get: async (key: string) => JSON.parse((await redis.get(key)) ?? 'null'),
        set: (key: string, entry: unknown) => redis.set(key, JSON.stringify(entry)),
        delete: (key: string) => redis.del(key),
      }
      const read = (getFreshValue: () => Promise<typeof LOADED>) =>
        cachified({ key: 'film:1', cache, ttl: TTL_MS, getFreshValue })
      return { read, close: () => redis.disconnect() }
    },
  },
]

describe('values for other cache libraries', () => {
  let server: RedisServer
  let redis: ReturnType<typeof connect>
  before(
    async () => {
      server = await startRedisServer()
      redis = connect(server.url)
    },
    { timeout: 60_000 },
  )
  after(
    async () => {
      redis?.disconnect()
      await server?.stop()
    },
    { timeout: 60_000 },
  )

  for (const reader of READERS) {
    const { name, value, key } = reader
    it(`${name} reads what was warmed, as a hit`, { timeout: 60_000 }, async () => {
      await redis.flushall()
      const beforeMs = Date.now()
      await warm(server, { value, key })
      const stored = key.replace('{id}', '1')
      assertEquals(await redis.exists(stored), 1, `warmed ${await redis.keys('*')}`)
      const leftMs = await redis.pttl(stored)
      assert(leftMs > TTL_MS / 2 && leftMs <= TTL_MS, `its TTL is ${leftMs} ms`)
      for (const atMs of endsOf(JSON.parse((await redis.get(stored)) as string))) {
        assert(atMs >= beforeMs + TTL_MS && atMs <= Date.now() + TTL_MS, `it ends at ${atMs}, warmed at ${beforeMs}`)
      }
      assertEquals(await readOnce(reader, server), { value: FILM, loads: 0 })
    })

    it(`${name} misses what was not warmed`, { timeout: 60_000 }, async () => {
      await redis.flushall()
      assertEquals(await readOnce(reader, server), { value: LOADED, loads: 1 })
    })

    it(`${name} misses what has expired`, { timeout: 60_000 }, async () => {
      await redis.flushall()
      await warm(server, { value, key, ttl: 1 })
      await until(async () => (await redis.exists(key.replace('{id}', '1'))) === 0)
      assertEquals(await readOnce(reader, server), { value: LOADED, loads: 1 })
    })
  }

  it('cacheable keeps a warmed value in memory no longer than it lives', { timeout: 60_000 }, async () => {
    await redis.flushall()
    await warm(server, { value: 'keyv', key: 'film:{id}' })
    const cache = new Cacheable({ secondary: createKeyv(server.url), ttl: '24h' })
    try {
      assertEquals(await cache.get('film:1'), FILM)
      const inMemory = await cache.primary.get('film:1', { raw: true })
      const endsMs = JSON.parse((await redis.get('film:1')) as string).expires
      assert(
        (inMemory?.expires ?? Number.POSITIVE_INFINITY) <= endsMs + 1000,
        `until ${inMemory?.expires}, not ${endsMs}`,
      )
    } finally {
      await cache.disconnect()
    }
  })

  it('Keyv, bentocache and cachified refuse an entry whose own time is over, though Redis holds it', {
    timeout: 60_000,
  }, async () => {
    for (const reader of READERS.filter(({ value }) => value !== 'unstorage')) {
      await redis.flushall()
      await warm(server, reader)
      const stored = reader.key.replace('{id}', '1')
      const text = (await redis.get(stored)) as string
      await redis.set(stored, text.replace(/"(expires|logicalExpiration|createdTime)":(\d+)/g, '"$1":1000'))
      assertEquals(await readOnce(reader, server), { value: LOADED, loads: 1 }, reader.name)
    }
  })

  it("Nitro's entry comes out of unstorage with all that Nitro judges it by", { timeout: 60_000 }, async () => {
    await redis.flushall()
    const beforeMs = Date.now()
    await warm(server, { value: 'nitro:v1', key: 'nitro:functions:film:{id}.json' })
    const storage = createStorage()
    storage.mount('cache', unstorageRedis({ url: server.url }))
    try {
      const entry = (await storage.getItem('/cache:nitro/functions:film:1.json')) as Record<string, number>
      const { mtime = 0, expires, ...rest } = entry
      assertEquals(rest as unknown, { value: FILM, integrity: 'v1' })
      assert(mtime >= beforeMs && mtime <= Date.now(), `mtime ${mtime}`)
      assertEquals(expires, mtime + TTL_MS)
    } finally {
      await storage.dispose()
    }
  })

  it('a value that a form can not hold fails with VALUE_INVALID, and others are written', {
    timeout: 60_000,
  }, async () => {
    await redis.flushall()
    for (const value of ['keyv', 'bentocache', 'unstorage', 'cachified', 'nitro:v1'] as const) {
      const result = await run(server, {
        value,
        key: `${value}:{id}`,
        loaded: (id) => (id === '1' ? { big: 1n } : FILM),
        ids: ['1', '2'],
      })
      const { written, failed } = result.keys
      assertEquals([written, failed, result.tasks[0]?.firstError?.code], [1, 1, 'VALUE_INVALID'], value)
    }
  })
})

interface Warmed {
  value: ValueSpec
  key: string
  ttl?: number
  ids?: string[]
  loaded?: (id: string) => unknown
}

function run(server: RedisServer, warmed: Warmed): Promise<JobResult> {
  const { value, key, ttl = TTL_MS, ids = ['1'], loaded = () => FILM } = warmed
  const films = load({
    key,
    value,
    ttl,
    ttlJitter: 0,
    select: () => ids,
    load: (_keys, { ids: named }) => named.map(({ id }) => loaded(id as string)),
  })
  return runJob({ config: defineConfig({ tasks: { films }, workers: 0 }), redisUrl: server.url })
}

async function warm(server: RedisServer, warmed: Warmed): Promise<void> {
  const result = await run(server, warmed)
  assertEquals([result.status, result.keys.written], ['success', 1], JSON.stringify(result.tasks))
}

/** When an entry says that it ends, as far as it says so. */
function endsOf(entry: Record<string, unknown>): number[] {
  const { ttl, createdTime } = (entry.metadata ?? {}) as { ttl?: number; createdTime?: number }
  const times = [
    entry.expires,
    entry.logicalExpiration,
    createdTime === undefined ? undefined : createdTime + (ttl ?? 0),
  ]
  return times.filter((at) => typeof at === 'number')
}

async function readOnce(reader: Reader, server: RedisServer): Promise<{ value: unknown; loads: number }> {
  let loads = 0
  const opened = reader.open(server)
  try {
    const value = await opened.read(async () => {
      loads++
      return LOADED
    })
    return { value, loads }
  } finally {
    await opened.close()
  }
}
