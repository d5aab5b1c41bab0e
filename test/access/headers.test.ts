import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { appWith, bearer, tokenWith } from './support.ts'

const OPS = 'https://ops.example'

describe('headers', () => {
  it('of every answer keep a browser from sniffing, framing and telling where it came from', async () => {
    const { ask } = appWith()
    const good = bearer(await tokenWith())
    const answers = [
      await ask('/healthz'),
      await ask('/warm/status', good),
      await ask('/warm/status'),
      await ask('/warm/status', bearer('x')),
      await ask('/nothing'),
    ]
    assertEquals(
      answers.map((answer) => answer.status),
      [200, 200, 401, 401, 404],
    )
    for (const { headers } of answers) {
      assertEquals(headers.get('x-content-type-options'), 'nosniff')
      assertEquals(headers.get('x-frame-options'), 'DENY')
      assertEquals(headers.get('referrer-policy'), 'no-referrer')
      assertEquals(headers.get('cache-control'), 'no-store')
      assert(headers.get('content-security-policy')?.startsWith("default-src 'none'; frame-ancestors 'none'"))
      assertEquals(headers.get('strict-transport-security'), null)
      assertEquals(headers.get('access-control-allow-origin'), null)
    }
  })

  it('leave a page its own policy', async () => {
    assertEquals((await appWith().ask('/page')).headers.get('content-security-policy'), "default-src 'self'")
  })

  it('tell a browser to stay with TLS only where it speaks TLS', async () => {
    const hsts = async (url: string, trustedProxies: string[], headers = {}) => {
      const { app } = appWith({ settings: { trustedProxies } })
      return (await app.request(url, { headers })).headers.get('strict-transport-security')
    }
    assertEquals(await hsts('https://prewarm.example/healthz', []), 'max-age=15552000')
    const forwarded = { 'x-forwarded-proto': 'https' }
    assertEquals(await hsts('http://prewarm.example/healthz', ['127.0.0.1'], forwarded), 'max-age=15552000')
    assertEquals(await hsts('http://prewarm.example/healthz', [], forwarded), null)
  })
})

describe('CORS', () => {
  const settings = { corsOrigins: [OPS] }
  const preflight = (origin: string) => ({
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  })

  it('is off unless configured', async () => {
    const { status, headers } = await appWith().ask('/warm/run', preflight(OPS), 'OPTIONS')
    assertEquals([status, headers.get('access-control-allow-origin')], [404, null])
  })

  it('lets exactly the configured origins in, without cookies', async () => {
    const { ask } = appWith({ settings })
    const { status, headers } = await ask('/warm/run', preflight(OPS), 'OPTIONS')
    assertEquals([status, headers.get('access-control-allow-origin')], [204, OPS])
    assert(headers.get('access-control-allow-methods')?.includes('POST'))
    assert(headers.get('access-control-allow-headers')?.includes('authorization'))
    assertEquals(headers.get('access-control-allow-credentials'), null)
    assertEquals(headers.get('x-content-type-options'), 'nosniff')
    for (const origin of [
      'https://evil.example',
      `${OPS}.evil.example`,
      'http://ops.example',
      'https://OPS.example',
      'null',
      '',
    ]) {
      const refused = await ask('/warm/run', preflight(origin), 'OPTIONS')
      assertEquals(refused.headers.get('access-control-allow-origin'), null, origin)
    }
  })

  it('also lets a page read why it was refused', async () => {
    const { status, headers } = await appWith({ settings }).ask('/warm/status', { origin: OPS })
    assertEquals([status, headers.get('access-control-allow-origin'), headers.get('vary')], [401, OPS, 'Origin'])
    assertEquals(headers.get('www-authenticate'), 'Bearer realm="prewarm"')
  })
})
