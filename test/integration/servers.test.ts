import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import {
  type CutProxy,
  type RedisServer,
  startCutProxy,
  startPostgresServer,
  startRedisServer,
} from '../support/servers.ts'

describe('the servers tests use', () => {
  let server: RedisServer
  let proxy: CutProxy

  before(async () => {
    server = await startRedisServer({ args: ['--maxmemory', '64mb'] })
    proxy = await startCutProxy(server.port)
  })
  after(async () => {
    await proxy.stop()
    await server.stop()
  })

  it('start a Redis with extra arguments', async () => {
    const redis = new Redis(server.url)
    assertEquals(await redis.config('GET', 'maxmemory'), ['maxmemory', '67108864'])
    redis.disconnect()
  })

  it('pause and resume it', async () => {
    const redis = new Redis(server.url, { commandTimeout: 200 })
    await redis.ping()
    server.pause()
    await assertRejects(() => redis.ping(), Error, 'timed out')
    server.resume()
    redis.disconnect()
    const fresh = new Redis(server.url)
    assertEquals(await fresh.ping(), 'PONG')
    fresh.disconnect()
  })

  it('start a PostgreSQL, and leave nothing listening', async () => {
    const database = await startPostgresServer()
    const sql = postgres(database.url, { max: 2 })
    assertEquals([...(await sql`select 1 as one`)], [{ one: 1 }])
    await sql.end()
    await database.stop()
    await database.stop()
    await assertRejects(() => connect(database.port), Error, 'ECONNREFUSED')
  })

  it('cut connections after so many bytes, which do arrive', async () => {
    const direct = new Redis(server.url)
    await direct.del('list')
    const push = '*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$1\r\nx\r\n'
    const client = await connect(proxy.port)
    proxy.cutAfterBytes(push.length * 3 + 5)
    client.write(push.repeat(10))
    await closed(client)
    // The server has read its input when the connection is gone from its list.
    while (((await direct.client('LIST')) as string).trim().split('\n').length > 1) await direct.ping()
    assertEquals(await direct.llen('list'), 3)
    const again = await connect(proxy.port)
    again.write('PING\r\n')
    assertEquals(await reply(again), '+PONG\r\n')
    proxy.cutNow()
    await closed(again)
    direct.disconnect()
  })

  it('stall, and pass everything on afterwards', async () => {
    const client = await connect(proxy.port)
    proxy.stall()
    client.write('PING\r\n')
    let early = ''
    const listen = (chunk: unknown): void => {
      early += chunk
    }
    client.on('data', listen)
    const direct = new Redis(server.url)
    for (let i = 0; i < 50; i++) await direct.ping()
    assertEquals(early, '')
    client.off('data', listen)
    const answered = reply(client)
    proxy.resume()
    assertEquals(await answered, '+PONG\r\n')
    client.destroy()
    direct.disconnect()
  })

  it('refuse new connections, and keep old ones', async () => {
    const client = await connect(proxy.port)
    await proxy.refuse(true)
    await assertRejects(() => connect(proxy.port), Error, 'ECONNREFUSED')
    client.write('PING\r\n')
    assertEquals(await reply(client), '+PONG\r\n')
    await proxy.refuse(false)
    const next = await connect(proxy.port)
    assert(!next.destroyed)
    client.destroy()
    next.destroy()
  })
})

function connect(port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(socket)).once('error', reject)
  })
}

function closed(socket: net.Socket): Promise<void> {
  socket.on('error', () => undefined).resume()
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

function reply(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))))
}
