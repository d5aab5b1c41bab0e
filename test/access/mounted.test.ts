import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { Hono } from 'hono'
import { appWith, bearer, tokenWith } from './support.ts'

const BASE = '/api/admin/cache-warm'
const OPS = 'https://ops.example'

describe('access below a base path', () => {
  const setUp = () => new Hono().route(BASE, appWith({ settings: { corsOrigins: [OPS] } }).app)

  it('refuses as it does at the root, with the same headers', async () => {
    const answer = await setUp().request(`${BASE}/warm/status`, { headers: { ...bearer('x'), origin: OPS } })
    assertEquals([answer.status, (await answer.json()).code], [401, 'UNAUTHENTICATED'])
    const names = ['x-content-type-options', 'cache-control', 'access-control-allow-origin']
    assertEquals(
      names.map((name) => answer.headers.get(name)),
      ['nosniff', 'no-store', OPS],
    )
    assertEquals(
      answer.headers.get('www-authenticate'),
      'Bearer realm="prewarm", error="invalid_token", error_description="The token is malformed"',
    )
  })

  it('answers a preflight request', async () => {
    const headers = { origin: OPS, 'access-control-request-method': 'POST' }
    const answer = await setUp().request(`${BASE}/warm/run`, { method: 'OPTIONS', headers })
    assertEquals([answer.status, answer.headers.get('access-control-allow-origin')], [204, OPS])
  })

  it('counts each way to warm by itself', async () => {
    const app = setUp()
    const headers = bearer(await tokenWith())
    const post = async (way: string) => (await app.request(`${BASE}/warm/${way}`, { method: 'POST', headers })).status
    for (const way of ['run', 'key', 'pattern', 'trigger-predictive'])
      assertEquals([await post(way), await post(way), await post(way)], [200, 200, 429], way)
    const last = await app.request(`${BASE}/warm/run`, { method: 'POST', headers })
    assertEquals([last.headers.get('ratelimit-remaining'), last.headers.get('retry-after')], ['0', '60'])
  })

  it('looks at the path as routes do: no other spelling of it has a count of its own', async () => {
    const app = setUp()
    const headers = bearer(await tokenWith())
    const post = async (path: string) => (await app.request(`${BASE}${path}`, { method: 'POST', headers })).status
    assertEquals([await post('/warm/run'), await post('/warm/run?x=1')], [200, 200])
    for (const path of [
      '/warm/run',
      '/warm/%72un',
      '/warm/run?way=key',
      '/warm/run#key',
      '/warm/./run',
      '/warm/x/../run',
    ])
      assertEquals(await post(path), 429, path)
    for (const path of ['/warm/run/', '/warm//run', '/WARM/run']) assertEquals(await post(path), 404, path)
  })
})
