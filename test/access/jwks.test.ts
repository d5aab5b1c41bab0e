import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { FakeClock, turn } from '../fakes/clock.ts'
import { chunked, FakeFetch, json } from '../fakes/fetch.ts'
import { type AppOptions, appWith, bearer, jwtSettings, NOW_S, signerOf } from './support.ts'

const URL = 'https://id.example/keys'
const MINUTE = 60_000

async function setUp() {
  const clock = new FakeClock()
  const origin = new FakeFetch()
  const jwt = jwtSettings({ algorithm: 'ES256', secret: undefined, jwksUrl: URL })
  const options: AppOptions = { settings: { jwt }, fetch: origin.fetch as AppOptions['fetch'] & object, clock }
  const { ask } = appWith(options)
  const [one, two] = [await signerOf('ES256', 'one'), await signerOf('ES256', 'two')]
  const serve = (...keys: unknown[]) => {
    origin.answer = () => json({ keys })
  }
  const far = { exp: NOW_S + 1_000_000 }
  const tokens = { one: await one.token(far), two: await two.token(far) }
  const status = async (token: string) => (await ask('/warm/jobs', bearer(token))).status
  serve(one.jwk)
  return { clock, origin, one, two, tokens, serve, status }
}

describe('keys at a URL', () => {
  it('are fetched once for 10 min, however many ask at once', async () => {
    const { clock, origin, tokens, status } = await setUp()
    assertEquals(await Promise.all([1, 2, 3].map(() => status(tokens.one))), [200, 200, 200])
    clock.tick(10 * MINUTE)
    assertEquals(await status(tokens.one), 200)
    assertEquals(origin.requests.length, 1)
    clock.tick(1)
    await status(tokens.one)
    assertEquals(
      origin.requests.map(({ url }) => url),
      [URL, URL],
    )
  })

  it('are fetched again for a key that is not known, at most every 30 s', async () => {
    const { clock, origin, one, two, tokens, serve, status } = await setUp()
    await status(tokens.one)
    serve(one.jwk, two.jwk)
    for (let n = 0; n < 20; n++) assertEquals(await status(tokens.two), 401)
    clock.tick(29_999)
    assertEquals([await status(tokens.two), origin.requests.length], [401, 1])
    clock.tick(1)
    assertEquals([await status(tokens.two), origin.requests.length], [200, 2])
  })

  it('that were taken back are no good any more', async () => {
    const { clock, two, tokens, serve, status } = await setUp()
    assertEquals(await status(tokens.one), 200)
    serve(two.jwk)
    clock.tick(10 * MINUTE + 1)
    assertEquals([await status(tokens.one), await status(tokens.two)], [401, 200])
  })

  it('stay in force for a day while no new ones can be had', async () => {
    const { clock, origin, two, tokens, status } = await setUp()
    assertEquals(await status(tokens.one), 200)
    const bad: (() => Response | Error)[] = [
      () => new Error('refused'),
      () => new Response('no', { status: 503 }),
      () => new Response('<html>'),
      () => json([]),
      () => json({ keys: 'none' }),
      () => chunked(1000),
      () => json({ keys: [two.jwk], pad: 'x'.repeat(256 * 1024) }),
      () => new Response(null, { status: 204 }),
    ]
    for (const answer of bad) {
      origin.answer = answer
      clock.tick(11 * MINUTE)
      const before = origin.requests.length
      assertEquals([await status(tokens.one), await status(tokens.one)], [200, 200], `${answer}`)
      assertEquals(origin.requests.length, before + 1)
    }
    clock.tick(24 * 60 * MINUTE)
    assertEquals(await status(tokens.one), 503)
  })

  it('that never come are waited for 5 s', async () => {
    const { clock, origin, tokens, serve, one, status } = await setUp()
    origin.answer = () => 'never'
    let answered: number | undefined
    const asking = status(tokens.one).then((found) => {
      answered = found
    })
    for (let n = 0; n < 20; n++) await turn()
    clock.tick(4999)
    await turn()
    assertEquals([answered, origin.requests.length], [undefined, 1])
    clock.tick(1)
    await asking
    assertEquals([answered, origin.requests[0]?.signal.aborted], [503, true])
    assertEquals(clock.pending, 0)
    serve(one.jwk)
    assertEquals(await status(tokens.one), 200)
  })

  it('are not looked for at another address', async () => {
    const { origin, tokens, status } = await setUp()
    let redirect: string | undefined
    const inner = origin.fetch
    const jwt = jwtSettings({ algorithm: 'ES256', secret: undefined, jwksUrl: URL })
    const { ask } = appWith({
      settings: { jwt },
      fetch: (url, init) => {
        redirect = init.redirect
        return inner(url, init as Parameters<typeof inner>[1])
      },
    })
    await ask('/warm/jobs', bearer(tokens.one))
    assertEquals([redirect, await status(tokens.one)], ['error', 200])
  })

  it('that can’t be had are nobody’s failed attempt', async () => {
    const { origin, tokens, status, serve, one, clock } = await setUp()
    origin.answer = () => new Error('refused')
    for (let n = 0; n < 50; n++) assertEquals(await status(tokens.one), 503)
    serve(one.jwk)
    clock.tick(5000)
    assertEquals(await status(tokens.one), 200)
  })
})

describe('keys in a file', () => {
  it('are read again after 10 min, so that they can be changed', async () => {
    const clock = new FakeClock()
    const [one, two] = [await signerOf('EdDSA', 'one'), await signerOf('EdDSA', 'two')]
    let keys = [one.jwk]
    const paths: string[] = []
    const { ask } = appWith({
      settings: { jwt: jwtSettings({ algorithm: 'EdDSA', secret: undefined, jwksFile: '/etc/keys.json' }) },
      readFile: async (path) => {
        paths.push(path)
        return JSON.stringify({ keys })
      },
      clock,
    })
    const status = async (signer: typeof one) =>
      (await ask('/warm/jobs', bearer(await signer.token({ exp: NOW_S + 10_000 })))).status
    assertEquals([await status(one), await status(two)], [200, 401])
    keys = [two.jwk]
    clock.tick(10 * MINUTE + 1)
    assertEquals([await status(one), await status(two)], [401, 200])
    assertEquals(paths, ['/etc/keys.json', '/etc/keys.json'])
  })
})
