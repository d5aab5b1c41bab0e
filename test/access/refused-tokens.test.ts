import { describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import {
  type AppOptions,
  appWith,
  bearer,
  CLAIMS,
  hmac,
  keySet,
  NOW_S,
  PAIRS,
  part,
  SECRET,
  signed,
  signerOf,
  statusOf,
  tokenWith,
  withJwt,
} from './support.ts'

const pem = (spki: ArrayBuffer) =>
  `-----BEGIN PUBLIC KEY-----\n${btoa(String.fromCharCode(...new Uint8Array(spki)))}\n-----END PUBLIC KEY-----`

describe('a token that is refused', () => {
  /** By what, the token, and the app's options. */
  const CASES: [string, () => Promise<string | null>, AppOptions?][] = [
    ['being absent', async () => null],
    ['being empty', async () => ''],
    ['being no token', async () => 'x'],
    ['being three dots', async () => '...'],
    ['another algorithm', async () => signed({ alg: 'HS384' }, CLAIMS, await hmac(), 'HMAC')],
    ['being expired', () => tokenWith({ exp: NOW_S - 6 })],
    ['having no expiry', () => tokenWith({ exp: undefined })],
    ['an expiry that is text', () => tokenWith({ exp: String(NOW_S + 60) })],
    ['an expiry that is null', () => tokenWith({ exp: null })],
    ['an expiry that is a list', () => tokenWith({ exp: [NOW_S + 60] })],
    [
      'an expiry that is no number',
      async () => signed({ alg: 'HS256' }, { ...CLAIMS, exp: Number.NaN }, await hmac(), 'HMAC'),
    ],
    ['not being valid yet', () => tokenWith({ nbf: NOW_S + 60 })],
    ['a beginning that is text', () => tokenWith({ nbf: String(NOW_S - 60) })],
    ['being issued in the future', () => tokenWith({ iat: NOW_S + 60 })],
    ['another audience', () => tokenWith({ aud: 'x' }), withJwt({ audience: 'prewarm' })],
    ['no audience', () => tokenWith(), withJwt({ audience: 'prewarm' })],
    ['an audience that contains ours', () => tokenWith({ aud: 'prewarm2' }), withJwt({ audience: 'prewarm' })],
    ['another issuer', () => tokenWith({ iss: 'https://evil.example' }), withJwt({ issuer: 'https://id.example' })],
    ['no issuer', () => tokenWith(), withJwt({ issuer: 'https://id.example' })],
    [
      'an issuer in a list',
      () => tokenWith({ iss: ['https://id.example'] }),
      withJwt({ issuer: 'https://id.example' }),
    ],
    ['another key', () => tokenWith({}, `${SECRET}!`)],
    ['too short a key', () => tokenWith({}, 'short')],
    ['an empty signature', async () => `${(await tokenWith()).split('.').slice(0, 2).join('.')}.`],
    ['no signature', async () => (await tokenWith()).split('.').slice(0, 2).join('.')],
    ['a fourth part', async () => `${await tokenWith()}.x`],
    ['a signature with padding', async () => `${await tokenWith()}=`],
    [
      'claims changed after signing',
      async () => {
        const [head, , signature] = (await tokenWith()).split('.')
        return `${head}.${part({ ...CLAIMS, sub: 'root' })}.${signature}`
      },
    ],
    ['its size', () => tokenWith({ pad: 'x'.repeat(9000) })],
    ['claims that are null', async () => signed({ alg: 'HS256' }, null, await hmac(), 'HMAC')],
    ['claims that are a list', async () => signed({ alg: 'HS256' }, [CLAIMS], await hmac(), 'HMAC')],
    ['a header that is null', async () => `${part(null)}.${part(CLAIMS)}.x`],
    ['a subject that is no text', () => tokenWith({ sub: { toString: 'x' } })],
    ['a subject that is too long', () => tokenWith({ sub: 'x'.repeat(257) })],
  ]
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '', 'none ', null, undefined, 0, ['HS256'], 'hs256']) {
    for (const signature of ['', 'x']) {
      CASES.push([
        `the algorithm ${JSON.stringify(alg)}, signed '${signature}'`,
        async () => `${part({ alg, typ: 'JWT' })}.${part(CLAIMS)}.${signature}`,
      ])
    }
  }
  for (const [why, token, options] of CASES) {
    it(`by ${why}`, async () => {
      const { ask } = appWith(options)
      const text = await token()
      const { status, headers, body } = await ask('/warm/status', text === null ? {} : bearer(text))
      assertEquals([status, body.code], [401, 'UNAUTHENTICATED'])
      assertMatch(
        headers.get('www-authenticate') ?? '',
        text ? /^Bearer realm="prewarm", error="invalid_token"/ : /^Bearer realm="prewarm"$/,
      )
      assert(!JSON.stringify(body).includes(SECRET))
    })
  }

  it('by standing anywhere but in the Authorization header as a Bearer', async () => {
    const { ask } = appWith()
    const token = await tokenWith()
    for (const name of ['access_token', 'token', 'jwt', 'authorization'])
      assertEquals((await ask(`/warm/status?${name}=${token}`)).status, 401)
    for (const headers of [
      { cookie: `token=${token}; authorization=Bearer ${token}` },
      { 'x-authorization': `Bearer ${token}` },
      { authorization: token },
      { authorization: `Basic ${token}` },
      { authorization: `Bearer x, Bearer ${token}` },
      { authorization: `Bearer ${token} x` },
    ])
      assertEquals((await ask('/warm/status', headers as unknown as Record<string, string>)).status, 401)
    assertEquals((await ask('/warm/status', { authorization: `bearer ${token}` })).status, 200)
  })

  it('by a set without the key, with a key of another kind, or with a key that names another algorithm', async () => {
    const [signer, other, rsa] = [await signerOf('ES256'), await signerOf('ES256', 'k2'), await signerOf('RS256')]
    const token = await signer.token()
    const sets: unknown[][] = [
      [],
      [other.jwk],
      [{ ...other.jwk, kid: 'k1' }],
      [rsa.jwk],
      [{ ...signer.jwk, alg: 'ES384' }],
      [{ ...signer.jwk, use: 'enc' }],
      [{ ...signer.jwk, key_ops: ['sign'] }],
      [{ ...signer.jwk, crv: 'P-384' }],
      [{ ...signer.jwk, x: 5 }],
      [null, 'x', [], { kty: 'oct', kid: 'k1', k: part('x') }],
    ]
    for (const keys of sets) assertEquals(await statusOf(token, keySet('ES256', keys)), 401, JSON.stringify(keys))
  })

  it('by an RSA key of less than 2048 bits', async () => {
    const make = { ...PAIRS.RS256.make, modulusLength: 1024 }
    const pair = await crypto.subtle.generateKey(make, true, ['sign', 'verify'])
    const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey)
    const token = await signed({ alg: 'RS256', kid: 'k1' }, CLAIMS, pair.privateKey, PAIRS.RS256.use)
    const { kty, n, e } = jwk
    assertEquals(await statusOf(token, keySet('RS256', [{ kty, n, e, kid: 'k1' }])), 401)
  })

  it('by being signed with a public key as if it were a secret', async () => {
    const rsa = await signerOf('RS256')
    const spki = await crypto.subtle.exportKey('spki', rsa.pair.publicKey)
    const raw = new Uint8Array(spki)
    for (const secret of [
      pem(spki),
      `${pem(spki)}\n`,
      JSON.stringify(rsa.jwk),
      rsa.jwk.n as string,
      String.fromCharCode(...raw),
    ]) {
      for (const kid of ['k1', undefined]) {
        const token = await signed({ alg: 'HS256', kid }, CLAIMS, await hmac(secret), 'HMAC')
        assertEquals(await statusOf(token, keySet('RS256', [rsa.jwk])), 401)
        const renamed = await signed({ alg: 'RS256', kid }, CLAIMS, await hmac(secret), 'HMAC')
        assertEquals(await statusOf(renamed, keySet('RS256', [rsa.jwk])), 401)
      }
    }
  })

  it('by a key identifier that is a path, a statement, an object, or a name that every object has', async () => {
    const signer = await signerOf('EdDSA')
    for (const kid of [
      '../../dev/null',
      "k1' or '1'='1",
      '__proto__',
      'constructor',
      'K1',
      'k1 ',
      '',
      0,
      { k1: 1 },
      ['k1'],
      null,
    ]) {
      const token = await signer.token({}, { kid })
      assertEquals(
        await statusOf(token, keySet('EdDSA', [signer.jwk, (await signerOf('EdDSA', 'k2')).jwk])),
        401,
        JSON.stringify(kid),
      )
    }
  })

  it('by a key of its own, or one that it says where to fetch', async () => {
    const [signer, evil] = [await signerOf('ES256'), await signerOf('ES256')]
    const fetched: string[] = []
    const fetch = async (url: string) => {
      fetched.push(url)
      return new Response(JSON.stringify({ keys: [evil.jwk] }))
    }
    const { jwk } = evil
    for (const header of [{ jwk }, { jku: 'https://evil.example/keys' }, { x5u: 'https://evil.example/x' }]) {
      assertEquals(await statusOf(await evil.token({}, header), { ...keySet('ES256', [signer.jwk]), fetch }), 401)
    }
    assertEquals(fetched, [])
  })
})
