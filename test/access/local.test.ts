import { describe, it } from 'node:test'
import { assertEquals, assertMatch, assertThrows } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { assertMayListen } from '../../src/server/access/index.ts'
import { type AppOptions, appWith, bearer, jwtSettings, tokenWith } from './support.ts'

const open = (options: AppOptions = {}) => appWith({ ...options, settings: { jwt: undefined, ...options.settings } })
const from = (address: string | null, settings: AppOptions['settings'] = {}) =>
  open({ settings, peerAddress: () => address })
const statusOf = async (headers: Record<string, string>, options: AppOptions = {}, method = 'GET') =>
  (await open(options).ask(method === 'GET' ? '/warm/status' : '/warm/stop', headers, method)).status

describe('without tokens', () => {
  it('this machine’s own programs may do everything', async () => {
    for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:0:0:1']) {
      const { status, body } = await from(address).ask('/warm/status')
      assertEquals([status, body.scopes], [200, ['warm:read', 'warm:write']], address)
    }
    assertEquals((await open().ask('/warm/status')).body.subject, 'address:127.0.0.1')
  })

  it('nobody else is answered, and is told what to set', async () => {
    for (const address of ['10.0.0.1', '128.0.0.1', '::2', 'fe80::1%eth0', '::ffff:10.0.0.1', 'localhost', '', null]) {
      const { status, body } = await from(address).ask('/warm/status')
      assertEquals([status, body.code], [403, 'FORBIDDEN'], String(address))
      assertMatch(body.detail, /set PREWARM_JWT_SECRET \(or control\.jwt\)/)
    }
  })

  it('what needs no token is answered to all', async () => {
    assertEquals((await from('10.0.0.1').ask('/healthz')).status, 200)
  })

  it('a forwarded address makes nobody local, and a forwarded call is none of this machine’s', async () => {
    const forwarded = { 'x-forwarded-for': '127.0.0.1' }
    const trustedProxies = ['10.0.0.1', '127.0.0.1']
    assertEquals((await from('10.0.0.2').ask('/warm/status', forwarded)).status, 403)
    assertEquals((await from('10.0.0.1', { trustedProxies }).ask('/warm/status', forwarded)).status, 403)
    const outside = { 'x-forwarded-for': '203.0.113.9' }
    assertEquals((await from('127.0.0.1', { trustedProxies }).ask('/warm/status', outside)).status, 403)
  })

  it('the Host header must name loopback', async () => {
    for (const host of [
      'localhost',
      'LOCALHOST:4000',
      'localhost.:4000',
      'app.localhost',
      '127.0.0.1:4000',
      '[::1]:4000',
      '[::1]',
    ])
      assertEquals(await statusOf({ host }), 200, host)
    for (const host of [
      'evil.example',
      'evil.example:4000',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'evillocalhost',
      '10.0.0.1',
      '',
      '[::2]:4000',
    ])
      assertEquals(await statusOf({ host }), 403, host)
  })

  it('a page of another origin may not call', async () => {
    const host = 'localhost:4000'
    for (const method of ['GET', 'POST']) {
      for (const origin of [
        'https://evil.example',
        'http://localhost:3000',
        'http://localhost:4000.evil.example',
        'null',
        '',
      ])
        assertEquals(await statusOf({ host, origin }, {}, method), 403, origin)
      assertEquals(await statusOf({ host, 'sec-fetch-site': 'cross-site' }, {}, method), 403)
      assertEquals(
        await statusOf({ host, origin: 'http://localhost:4000', 'sec-fetch-site': 'same-origin' }, {}, method),
        200,
      )
      assertEquals(await statusOf({ host, 'sec-fetch-site': 'none' }, {}, method), 200)
    }
    assertEquals(await statusOf({ host, 'sec-fetch-site': 'same-site' }, {}, 'POST'), 403)
  })

  it('a page of a configured origin may', async () => {
    const options = { settings: { corsOrigins: ['https://ops.example'] } }
    const headers = { host: 'localhost:4000', 'sec-fetch-site': 'cross-site' }
    assertEquals(await statusOf({ ...headers, origin: 'https://ops.example' }, options, 'POST'), 200)
    assertEquals(await statusOf({ ...headers, origin: 'https://ops.example.evil' }, options, 'POST'), 403)
  })
})

describe('with tokens', () => {
  it('address, Host and Origin do not matter', async () => {
    const { ask } = appWith({ peerAddress: () => '203.0.113.9' })
    const headers = { ...bearer(await tokenWith()), host: 'prewarm.example', origin: 'https://ops.example' }
    assertEquals((await ask('/warm/status', headers)).status, 200)
  })

  it('loopback needs one too', async () => {
    assertEquals((await appWith().ask('/warm/status')).status, 401)
  })
})

describe('assertMayListen', () => {
  it('refuses to listen beyond loopback without tokens, and says what to set', () => {
    for (const host of [
      '0.0.0.0',
      '::',
      '[::]',
      '10.0.0.1',
      'example.com',
      '',
      '::ffff:0.0.0.0',
      'localhost.example',
    ]) {
      const error = assertThrows(() => assertMayListen({ jwt: undefined }, host), PrewarmError)
      assertEquals(error.code, 'CONFIG_INVALID', host)
      assertMatch(error.message, /set PREWARM_JWT_SECRET to at least 32 random bytes/)
      assertMayListen({ jwt: jwtSettings() }, host)
    }
    for (const host of ['127.0.0.1', 'localhost', '::1', '[::1]', '127.1.2.3', '::ffff:127.0.0.1'])
      assertMayListen({ jwt: undefined }, host)
  })
})
