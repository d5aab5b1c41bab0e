import { describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertThrows } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import {
  type AppOptions,
  appWith,
  bearer,
  CLAIMS,
  hmac,
  keySet,
  NOW_S,
  signed,
  signerOf,
  statusOf,
  tokenWith,
  withJwt,
} from './support.ts'

const OPS = 'https://ops.example'

describe('a token that is accepted', () => {
  it('of HS256', async () => assertEquals(await statusOf(await tokenWith()), 200))

  for (const algorithm of ['RS256', 'ES256', 'EdDSA'] as const) {
    it(`of ${algorithm}, by the key that it names`, async () => {
      const [signer, other] = [await signerOf(algorithm), await signerOf(algorithm, 'k0')]
      assertEquals(await statusOf(await signer.token(), keySet(algorithm, [other.jwk, signer.jwk])), 200)
    })
  }

  it('names no key where there is only one', async () => {
    const signer = await signerOf('ES256')
    const token = await signer.token({}, { kid: undefined })
    assertEquals(await statusOf(token, keySet('ES256', [signer.jwk])), 200)
    assertEquals(await statusOf(token, keySet('ES256', [signer.jwk, (await signerOf('ES256', 'k2')).jwk])), 401)
  })

  it('is within the tolerance of clocks, and not beyond', async () => {
    const cases: [object, number][] = [
      [{ exp: NOW_S - 4 }, 200],
      [{ exp: NOW_S - 5 }, 401],
      [{ nbf: NOW_S + 5 }, 200],
      [{ nbf: NOW_S + 6 }, 401],
      [{ iat: NOW_S + 5 }, 200],
      [{ iat: NOW_S + 6 }, 401],
    ]
    for (const [claims, expected] of cases) {
      assertEquals(await statusOf(await tokenWith(claims as Record<string, unknown>)), expected, JSON.stringify(claims))
    }
  })

  it('bears the configured issuer and audience, alone or among others', async () => {
    const options = withJwt({ issuer: 'https://id.example', audience: 'prewarm' })
    for (const aud of ['prewarm', ['x', 'prewarm']])
      assertEquals(await statusOf(await tokenWith({ iss: 'https://id.example', aud }), options), 200)
  })

  it('is of a secret that looks like PEM', async () => {
    const secret = '-----BEGIN PRIVATE PUBLIC KEY----- and more than 32 bytes'
    assertEquals(await statusOf(await tokenWith({}, secret), withJwt({ secret })), 200)
  })

  it('has the type of an access token, or none', async () => {
    const hs = (header: object) => hmac().then((key) => signed({ alg: 'HS256', ...header }, CLAIMS, key, 'HMAC'))
    for (const header of [{}, { typ: 'JWT' }, { typ: 'at+jwt' }]) assertEquals(await statusOf(await hs(header)), 200)
    for (const header of [{ typ: 'logout+jwt' }, { typ: 5 }, { crit: ['exp'] }, { crit: [] }])
      assertEquals(await statusOf(await hs(header)), 401, JSON.stringify(header))
  })

  it('stops being accepted when it expires', async () => {
    const { ask, clock } = appWith()
    const token = await tokenWith({ exp: NOW_S + 60 })
    assertEquals((await ask('/warm/status', bearer(token))).status, 200)
    clock.tick(65_000)
    const late = await ask('/warm/status', bearer(token))
    assertEquals([late.status, late.body.detail], [401, 'The token has expired'])
  })
})

describe('createAccess', () => {
  const refuses = (options: AppOptions, message: RegExp) => {
    const error = assertThrows(() => appWith(options), PrewarmError)
    assertEquals(error.code, 'CONFIG_INVALID')
    assertMatch(error.message, message)
    return error
  }

  it('refuses a secret that is missing or shorter than 32 bytes, and does not tell it', () => {
    refuses(withJwt({ secret: undefined }), /control\.jwt\.secret is missing: set PREWARM_JWT_SECRET/)
    const { message } = refuses(withJwt({ secret: 'q'.repeat(31) }), /control\.jwt\.secret is shorter than 32 bytes/)
    assert(!message.includes('qqq'))
    appWith(withJwt({ secret: 'q'.repeat(32) }))
    appWith(withJwt({ secret: 'ä'.repeat(16) }))
  })

  it('refuses public keys from nowhere, or from two places', () => {
    refuses(withJwt({ algorithm: 'RS256' }), /neither jwksUrl nor jwksFile/)
    refuses(withJwt({ algorithm: 'RS256', jwksUrl: 'https://x/', jwksFile: 'x' }), /both jwksUrl and jwksFile/)
  })

  it('refuses an origin that no browser has, rather than let nobody in without a word', () => {
    const wrong = [
      '*',
      'https://*.example',
      'ops.example',
      `${OPS}/`,
      `${OPS}/x`,
      'https://OPS.example',
      `${OPS}:443`,
      '',
    ]
    for (const origin of [...wrong, 'null', 'https://me@ops.example', 'file://x']) {
      refuses(
        { settings: { corsOrigins: [OPS, origin] } },
        /control\.corsOrigins\.1 is '.*', expected an origin such as/,
      )
    }
    appWith({
      settings: { corsOrigins: [OPS, 'http://localhost:3000', 'http://[::1]:8080', 'chrome-extension://abc'] },
    })
  })

  it('refuses a clock tolerance above a minute, and a proxy that is no address', () => {
    refuses(withJwt({ clockToleranceMs: 60_001 }), /clockTolerance is 60001, expected 0 to 60000 ms/)
    for (const bad of ['x', '10.0.0.0/33', '::/129', '1.2.3.4/', '1.2.3.4/8/8', '10.0.0/8'])
      refuses({ settings: { trustedProxies: ['127.0.0.1', bad] } }, /control\.trustedProxies\.1 is /)
  })
})

describe('scopes and subjects', () => {
  const who = async (claims: Record<string, unknown>) => {
    const { status, body } = await appWith().ask('/warm/status', bearer(await tokenWith(claims)))
    return status === 200 ? [body.subject, body.scopes] : status
  }

  it('are read from each of the claims that issuers use', async () => {
    for (const claims of [
      { scope: 'x warm:read' },
      { scope: undefined, scp: 'warm:read x' },
      { scope: '', scp: ['warm:read', 5] },
      { scope: undefined, scopes: ['warm:read'] },
    ])
      assertEquals(
        (await appWith().ask('/warm/status', bearer(await tokenWith(claims)))).status,
        200,
        JSON.stringify(claims),
      )
    for (const scope of [
      undefined,
      '',
      'warm',
      'warm:reader',
      'WARM:READ',
      'warm:*',
      '*',
      'warm:read,warm:write',
      { 0: 'warm:read' },
    ])
      assertEquals(await who({ scope }), 403, JSON.stringify(scope))
  })

  it('warm:write includes warm:read, and not the other way round', async () => {
    assertEquals(await who({ scope: 'warm:write' }), ['deploy', ['warm:write', 'warm:read']])
    const { status, headers, body } = await appWith().ask(
      '/warm/run',
      bearer(await tokenWith({ scope: 'warm:read' })),
      'POST',
    )
    assertEquals([status, body.code], [403, 'FORBIDDEN'])
    assertEquals(
      headers.get('www-authenticate'),
      'Bearer realm="prewarm", error="insufficient_scope", scope="warm:write"',
    )
  })

  it('tell until when the token holds, with the tolerance of clocks', async () => {
    const until = async (app: ReturnType<typeof appWith>, token: string) =>
      (await app.ask('/warm/until', bearer(token))).body.until
    assertEquals(await until(appWith(), await tokenWith({ exp: NOW_S + 60 })), NOW_S * 1000 + 65_000)
    assertEquals(await until(appWith({ settings: { jwt: undefined } }), 'x'), null)
  })

  it('a token without a subject gets one of its own', async () => {
    const subjects = [await who({ sub: undefined }), await who({ sub: undefined, jti: 'x' })].map(
      (found) => (found as string[])[0],
    )
    for (const subject of subjects) assertMatch(subject as string, /^anonymous-token-[0-9a-f]{16}$/)
    assert(subjects[0] !== subjects[1])
  })
})
