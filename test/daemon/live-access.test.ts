/** Who gets in, and how often, at a service that listens: tokens as anybody may forge them, callers that hide behind addresses. */
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import { hmac, part, SECRET, signed, signerOf } from '../access/support.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect } from '../support/warming.ts'
import { type Instance, serve } from './instances.ts'
import { DaemonMachine } from './support.ts'

const SLOW = { timeout: 60_000 }
const CALLS = 1000

describe('a service that listens', () => {
  let server: RedisServer
  let redis: Redis
  let machine: DaemonMachine
  const alive: Instance[] = []

  before(async () => {
    server = await startRedisServer()
    redis = connect(server.url)
  }, SLOW)
  beforeEach(async () => {
    await redis.flushall()
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
  })
  afterEach(async () => {
    await Promise.all(alive.splice(0).map(({ end }) => end('SIGKILL')))
    machine.remove()
  }, SLOW)
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  const start = async () => {
    const instance = await serve(machine)
    alive.push(instance)
    return instance
  }
  const token = async (...args: string[]) => (await machine.json('token', ...args)).answer.token as string
  const nowS = () => Math.floor(Date.now() / 1000)
  const claims = (changes: object = {}) => ({
    ...{ sub: 'deploy', scope: 'warm:read warm:write', aud: 'prewarm', iat: nowS(), exp: nowS() + 3600 },
    ...changes,
  })

  it('lets nobody in with a token that is not good', SLOW, async () => {
    machine.env.PREWARM_JWT_SECRET = SECRET
    machine.configure({ inside: `control: { jwt: { algorithm: 'HS256', audience: 'prewarm' } },` })
    const { url } = await start()
    const key = await hmac()
    const hs256 = (changes: object, secret = SECRET) =>
      hmac(secret).then((one) => signed({ alg: 'HS256' }, claims(changes), one, 'HMAC'))
    const bits = (bits: number) =>
      crypto.subtle.importKey('raw', new TextEncoder().encode(SECRET), { name: 'HMAC', hash: `SHA-${bits}` }, false, [
        'sign',
      ])
    const rsa = await signerOf('RS256')
    const none = (alg: string) => `${part({ alg, typ: 'JWT' })}.${part(claims())}.`
    const [head, , signature] = (await hs256({})).split('.')
    const forged: Record<string, string | null> = {
      'no token': null,
      'no text': '',
      HS384: await signed({ alg: 'HS384' }, claims(), await bits(384), 'HMAC'),
      HS512: await signed({ alg: 'HS512' }, claims(), await bits(512), 'HMAC'),
      RS256: await rsa.token(claims()),
      'an algorithm that it only names': await signed({ alg: 'RS256' }, claims(), key, 'HMAC'),
      'alg none': none('none'),
      'alg None': none('None'),
      'alg none, signed': `${none('none')}${signature}`,
      expired: await hs256({ exp: nowS() - 60 }),
      'no exp': await hs256({ exp: undefined }),
      'wrong aud': await hs256({ aud: 'others' }),
      'no aud': await hs256({ aud: undefined }),
      'wrong key': await hs256({}, `${SECRET}!`),
      'too short a key': await hs256({}, 'short'),
      'changed claims': `${head}.${part(claims({ sub: 'root' }))}.${signature}`,
    }
    const statuses: Record<string, number[]> = {}
    for (const [why, forgery] of Object.entries(forged)) {
      const headers: Record<string, string> = {
        'content-type': 'application/json',
        ...(forgery === null ? {} : { authorization: `Bearer ${forgery}` }),
      }
      const read = await fetch(`${url}/warm/jobs`, { headers })
      const write = await fetch(`${url}/warm/run`, { method: 'POST', headers, body: '{"tasks":["quick"],"wait":true}' })
      statuses[why] = [read.status, write.status]
    }
    // 429: after 30 attempts a minute from one address nobody is even told why.
    for (const [why, both] of Object.entries(statuses))
      assert(
        both.every((status) => status === 401 || status === 429),
        `${why}: ${both}`,
      )
    assertEquals(Object.values(statuses).flat().slice(0, 30), new Array(30).fill(401))
    const quick = () => redis.keys('quick:*')
    assertEquals(await quick(), [])

    // That it was none of the above's form: the same, but good.
    const good = async (bearer: string) => {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` }
      const body = '{"tasks":["quick"],"wait":true}'
      const read = await fetch(`${url}/warm/jobs`, { headers })
      return [read.status, (await fetch(`${url}/warm/run`, { method: 'POST', headers, body })).status]
    }
    assertEquals(await good(await token('--scope', 'warm:read')), [200, 403])
    assertEquals(await quick(), [])
    assertEquals(await good(await hs256({})), [200, 200])
    assertEquals((await quick()).length, 100)
    assertEquals(await good(await token('--scope', 'warm:write')), [200, 200])
  })

  it('does not listen at all with too short a key', SLOW, async () => {
    machine.env.PREWARM_JWT_SECRET = 'x'.repeat(31)
    const { code, answer } = await machine.json('serve', '--port', '0')
    assertEquals([code, answer.error.code], [2, 'CONFIG_INVALID'])
    assertStringIncludes(answer.error.message, '32')
  })

  /** Statuses by how often they came, of calls that each say they come from elsewhere. */
  const rotating = async (urls: string[], bearer?: string) => {
    const counts: Record<number, number> = {}
    let sent = 0
    const caller = async () => {
      for (let n = sent++; n < CALLS; n = sent++) {
        const address = `203.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
        const headers: Record<string, string> = {
          'x-forwarded-for': address,
          'x-real-ip': address,
          forwarded: `for=${address}`,
        }
        if (bearer !== undefined) headers.authorization = `Bearer ${bearer}`
        const { status } = await fetch(`${urls[n % urls.length]}/warm/status`, { headers })
        counts[status] = (counts[status] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: 16 }, caller))
    return counts
  }
  /** The limits of the README's, not those of other tests. */
  const plain = (inside = '') => machine.configure({ inside: `control: { ${inside} },` })

  it('counts a caller by his socket whatever he forwards: of 1000 calls 5 pass', SLOW, async () => {
    plain()
    const { url } = await start()
    assertEquals(await rotating([url]), { 200: 5, 429: CALLS - 5 })
  })

  it('counts a caller by his token, over all instances: of 1000 calls to two of them 5 pass', SLOW, async () => {
    plain()
    machine.env.PREWARM_JWT_SECRET = SECRET
    const [one, other] = await Promise.all([start(), start()])
    const urls = [one.url, other.url]
    assertEquals(await rotating(urls, await token('--subject', 'deploy')), { 200: 5, 429: CALLS - 5 })
    // Another token of the same subject is the same caller, another subject is not.
    assertEquals(await rotating([other.url], await token('--subject', 'deploy', '--ttl', '2h')), { 429: CALLS })
    assertEquals(await rotating(urls, await token('--subject', 'else')), { 200: 5, 429: CALLS - 5 })
  })
})
