import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from '@std/assert'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { startEmbeddedRedis } from '../../src/embedded/redis.ts'
import type { EmbeddedServer } from '../../src/embedded/types.ts'

describe('embedded Redis', () => {
  let server: EmbeddedServer
  let redis: Redis

  before(async () => {
    server = await startEmbeddedRedis({ maxmemoryBytes: 200_000_000 })
    redis = new Redis(server.url)
    redis.on('error', () => undefined)
  })
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  it('answers pipelines of 1000 in order', async () => {
    for (let round = 0; round < 5; round++) {
      const pipeline = redis.pipeline()
      for (let i = 0; i < 1000; i++)
        pipeline.set(`k:${round}:${i}`, 'v'.repeat(i), 'PX', 600_000).strlen(`k:${round}:${i}`)
      const replies = (await pipeline.exec()) ?? []
      assertEquals(
        replies.filter((_, at) => at % 2 === 1).map(([error, length]) => error ?? length),
        Array.from({ length: 1000 }, (_, i) => i),
      )
    }
  })

  it('runs a Lua script by its hash', async () => {
    const sha = (await redis.script('LOAD', "return redis.call('INCRBY', KEYS[1], ARGV[1])")) as string
    assertEquals(await redis.evalsha(sha, 1, 'counter', 5), 5)
    assertEquals(await redis.evalsha(sha, 1, 'counter', 5), 10)
    await assertRejects(() => redis.evalsha('0'.repeat(40), 0), Error, 'NOSCRIPT')
  })

  it('delivers messages and expired events to subscribers', async () => {
    const subscriber = redis.duplicate()
    try {
      await redis.flushall() // expiry samples the keys: among thousands that stay, one is found late
      await redis.config('SET', 'notify-keyspace-events', 'Ex')
      const heard = new Promise((resolve) => subscriber.on('message', (_, message) => resolve(message)))
      await subscriber.subscribe('__keyevent@0__:expired')
      await redis.set('short', '1', 'PX', 1)
      assertEquals(await heard, 'short')
      assertEquals(await redis.exists('short'), 0)
    } finally {
      subscriber.disconnect()
    }
  })

  it('counts time as its clients do', async () => {
    await redis.set('absolute', '1', 'PXAT', Date.now() + 600_000)
    const left = await redis.pttl('absolute')
    assert(left > 0 && left <= 600_000, `${left} ms left`)
    await redis.set('past', '1', 'PXAT', Date.now() - 60_000)
    assertEquals(await redis.get('past'), null)
  })

  it('keeps the memory limit it was given', async () => {
    assertEquals(await redis.config('GET', 'maxmemory'), ['maxmemory', '200000000'])
  })

  it('holds back for a client that does not read, and loses nothing', async () => {
    const size = 4_000_000
    const times = 20
    await redis.set('large', 'x'.repeat(size))
    const expected = times * (`$${size}\r\n`.length + size + 2)
    const slow = net.connect(Number(new URL(server.url).port), '127.0.0.1').pause()
    slow.write('GET large\r\n'.repeat(times))
    assertEquals(await redis.ping(), 'PONG') // others are served meanwhile
    let received = 0
    await new Promise<void>((resolve, reject) => {
      slow.on('data', (chunk) => {
        received += chunk.length
        if (received >= expected) resolve()
      })
      slow.on('close', () => reject(new Error(`closed after ${received} bytes`)))
      slow.on('error', reject)
      slow.resume()
    })
    slow.destroy()
    assertEquals(received, expected)
  })

  it('reuses connections that were closed', async () => {
    for (let i = 0; i < 100; i++) {
      const guest = redis.duplicate()
      assertEquals(await guest.ping(), 'PONG')
      await guest.quit()
    }
  })

  it('names the port it cannot have', async () => {
    const port = Number(new URL(server.url).port)
    const error = await assertRejects(() => startEmbeddedRedis({ port }))
    assertEquals((error as { code?: string }).code, 'EMBEDDED_FAILED')
    await assertRejects(() => startEmbeddedRedis({ port: -1 }), RangeError, 'port')
  })

  it('stops once, and frees its port', async () => {
    const short = await startEmbeddedRedis()
    const stopping = short.stop()
    assertStrictEquals(short.stop(), stopping)
    await stopping
    assertEquals(await isOpen(short.url), false)
  })
})

describe('embedded Postgres', () => {
  let server: EmbeddedServer
  let sql: postgres.Sql

  before(async () => {
    server = await startEmbeddedPostgres()
    sql = postgres(server.url, { max: 6, onnotice: () => undefined })
  })
  after(async () => {
    await sql.end({ timeout: 5 })
    await server.stop()
  })

  it('answers on one connection while cursors are open on others', async () => {
    await sql`create table numbers as select n, md5(n::text) as text from generate_series(1, 20000) n`
    const read = async (): Promise<number> => {
      let seen = 0
      for await (const rows of sql`select * from numbers order by n`.cursor(1000)) {
        const [other] = await sql`select count(*)::int as count from numbers`
        assertEquals(other?.count, 20_000)
        seen += rows.length
      }
      return seen
    }
    assertEquals(await Promise.all([read(), read(), read()]), [20_000, 20_000, 20_000])
  })

  it('keeps transactions apart', async () => {
    await sql`create table account (id int primary key, amount int)`
    await sql`insert into account values (1, 10)`
    await sql.begin(async (inside) => {
      await inside`update account set amount = 20`
      assertEquals([...(await sql`select amount from account`)], [{ amount: 10 }])
    })
    assertEquals([...(await sql`select amount from account`)], [{ amount: 20 }])
  })

  it('knows more than ASCII', async () => {
    assertEquals([...(await sql`select lower('ÉCOLE') as word`)], [{ word: 'école' }])
  })

  it('wants its password', async () => {
    const url = new URL(server.url)
    url.password = 'wrong'
    const stranger = postgres(url.href, { max: 1 })
    await assertRejects(() => stranger`select 1`, Error, 'password authentication failed')
    await stranger.end()
  })

  it('stops once, even with a cursor open, frees its port and leaves no folder', async () => {
    const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('prewarm-pg-')).sort()
    const before = await folders()
    const short = await startEmbeddedPostgres()
    const [created] = (await folders()).filter((name) => !before.includes(name))
    assert(created !== undefined, 'it has a folder')
    const client = postgres(short.url, { max: 1, onnotice: () => undefined })
    const cursor = client`select generate_series(1, 100000)`.cursor(10)[Symbol.asyncIterator]()
    await cursor.next()
    const stopping = short.stop()
    assertStrictEquals(short.stop(), stopping)
    await stopping
    assertEquals(await isOpen(short.url), false)
    assertEquals(
      (await folders()).filter((name) => name === created),
      [],
    )
    await client.end({ timeout: 0 }).catch(() => undefined)
  })
})

describe('embedded servers', () => {
  it('say what to install where the packages are missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'prewarm-test-'))
    try {
      const source = join(import.meta.dirname, '../../src')
      await mkdir(join(folder, 'node_modules')) // without one, Bun would fetch packages by itself
      await cp(join(source, 'embedded'), join(folder, 'src/embedded'), { recursive: true })
      await cp(join(source, 'errors.ts'), join(folder, 'src/errors.ts'))
      for (const [file, name, variable] of [
        ['redis.ts', 'startEmbeddedRedis', 'REDIS_URL'],
        ['postgres.ts', 'startEmbeddedPostgres', 'DATABASE_URL'],
      ] as const) {
        const module = await import(pathToFileURL(join(folder, 'src/embedded', file)).href)
        const error = (await assertRejects(() => module[name](), Error, 'bun add -d')) as Error & { code: string }
        assertEquals(error.code, 'EMBEDDED_MISSING')
        assertStringIncludes(error.message, variable)
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('end with their process, even when it is killed', async () => {
    const postgresModule = join(import.meta.dirname, '../../src/embedded/postgres.ts')
    const script = `const { startEmbeddedPostgres } = await import(${JSON.stringify(pathToFileURL(postgresModule).href)})
      console.log((await startEmbeddedPostgres()).url)
      setInterval(() => {}, 1000)`
    const owner = spawn('bun', ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [url] = (await once(owner.stdout, 'data')).map((text) => String(text).trim())
    assert(url !== undefined && (await isOpen(url)), `${url} answers`)
    owner.kill('SIGKILL')
    while (await isOpen(url)) await new Promise((resolve) => setTimeout(resolve, 20))
  })
})

function isOpen(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
