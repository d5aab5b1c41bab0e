import { describe, it } from 'node:test'
import { assert, assertEquals, assertMatch } from '@std/assert'
import { Hono } from 'hono'
import { readTraceparent } from '../../src/server/trace.ts'
import { DOCUMENT, send, setup } from './support.ts'

const ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('traceparent', () => {
  it('is read as W3C says', () => {
    const read = { traceId: ID, spanId: SPAN }
    assertEquals(readTraceparent(`00-${ID}-${SPAN}-01`), read)
    assertEquals(readTraceparent(`01-${ID}-${SPAN}-01-what-is-new`), read)
    for (const bad of [
      '',
      `00-${ID}-${SPAN}`,
      `00-${ID}-${SPAN}-01-more`,
      `ff-${ID}-${SPAN}-01`,
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `00-${ID}-${'0'.repeat(16)}-01`,
      `00-${ID.toUpperCase()}-${SPAN}-01`,
      `00-${ID.slice(1)}-${SPAN}-01`,
      ` 00-${ID}-${SPAN}-01`,
    ])
      assertEquals(readTraceparent(bad), null, bad)
  })

  it('is taken over, and told in the answer; without one, a trace begins', async () => {
    const s = setup()
    const joined = await send(s, 'POST', '/warm/run', {}, { traceparent: `00-${ID}-${SPAN}-01` })
    assertEquals([joined.body.trace_id, joined.headers.get('x-trace-id')], [ID, ID])
    assertEquals(s.warmer.submitted[0]?.request.parentSpanId, SPAN)
    const ours = await send(s, 'POST', '/warm/run', {}, { traceparent: '00-nonsense' })
    assertMatch(ours.body.trace_id, /^[0-9a-f]{32}$/)
    assertEquals([ours.body.trace_id !== ID, ours.headers.get('x-trace-id')], [true, ours.body.trace_id])
    assert(!('parentSpanId' in (s.warmer.submitted[1]?.request ?? {})))
  })

  it('is in problems, too', async () => {
    const { body, headers } = await send(setup(), 'GET', '/warm/jobs/none', undefined, {
      traceparent: `00-${ID}-${SPAN}-01`,
    })
    assertEquals([body.trace_id, headers.get('x-trace-id')], [ID, ID])
  })
})

describe('problems', () => {
  it('say what RFC 9457 asks for', async () => {
    const { headers, body } = await send(setup(), 'GET', '/warm/jobs/none?x=1')
    assertEquals(headers.get('content-type'), 'application/problem+json')
    const { trace_id: _, detail, ...rest } = body
    assertMatch(detail, /^There is no job none/)
    assertEquals(rest, {
      type: 'urn:prewarm:problem:not-found',
      title: 'Not Found',
      status: 404,
      instance: '/warm/jobs/none',
      code: 'NOT_FOUND',
    })
  })

  it('tell nothing of a failure that is not foreseen; the log gets it', async () => {
    const s = setup()
    s.warmer.failure = new TypeError('secret of /etc/prewarm is undefined')
    const { status, body } = await send(s, 'GET', '/warm/jobs')
    assertEquals([status, body.code, s.errors], [500, 'INTERNAL', [s.warmer.failure]])
    assert(!JSON.stringify(body).includes('secret'))
  })

  it('answer an unknown route with 404, and another method with 405 and those there are', async () => {
    const s = setup()
    for (const path of ['/', '/nothing', '/warm', '/warm/', '/warm/jobs/a/b', '/docs/../etc', '/docs/package.json'])
      assertEquals((await send(s, 'GET', path)).body.code, 'NOT_FOUND', path)
    const allowed: [method: string, path: string, allow: string][] = [
      ['GET', '/warm/key', 'POST'],
      ['PUT', '/warm/config', 'GET, HEAD, POST'],
      ['POST', '/warm/jobs/a', 'DELETE, GET, HEAD'],
      ['DELETE', '/warm/schedules', 'GET, HEAD, POST'],
      ['PATCH', '/warm/schedules/a', 'DELETE'],
      ['POST', '/healthz', 'GET, HEAD'],
      ['POST', '/docs', 'GET, HEAD'],
    ]
    for (const [method, path, allow] of allowed) {
      const { status, headers, body } = await send(s, method, path)
      assertEquals([status, headers.get('allow'), body.code], [405, allow, 'METHOD_NOT_ALLOWED'], `${method} ${path}`)
    }
  })
})

describe('a base path', () => {
  const mounted = () => {
    const s = setup()
    const app = new Hono().route('/api/admin/cache-warm', s.app).get('/own', (c) => c.text('ours'))
    return { s, app }
  }

  it('has every route below it, and no other', async () => {
    const { s, app } = mounted()
    const base = '/api/admin/cache-warm'
    const run = await app.request(`${base}/warm/run`, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    assertEquals([run.status, s.warmer.submitted.length], [202, 1])
    assertEquals(await (await app.request(`${base}/healthz`)).json(), { status: 'ok' })
    assertEquals(await (await app.request('/own')).text(), 'ours')
    assertEquals((await app.request('/warm/status')).status, 404)
    assertEquals((await app.request('/own')).headers.get('x-guarded'), null)
  })

  it('answers with problems below it', async () => {
    const { app } = mounted()
    const unknown = await app.request('/api/admin/cache-warm/nothing')
    assertEquals([unknown.status, unknown.headers.get('content-type')], [404, 'application/problem+json'])
    assertEquals((await unknown.json()).instance, '/api/admin/cache-warm/nothing')
    const method = await app.request('/api/admin/cache-warm/warm/key')
    assertEquals([method.status, method.headers.get('allow')], [405, 'POST'])
    const bad = await app.request('/api/admin/cache-warm/warm/jobs?limit=0')
    assertEquals([bad.status, (await bad.json()).code], [400, 'REQUEST_INVALID'])
  })

  it('is not in the description, nor in the page: both are relative to where they are', async () => {
    const { app } = mounted()
    const document = await (await app.request('/api/admin/cache-warm/openapi.json')).json()
    assertEquals([document.servers[0].url, Object.keys(document.paths)], ['.', Object.keys(DOCUMENT.paths)])
    const at = 'http://h/api/admin/cache-warm/openapi.json'
    assertEquals(new URL(document.servers[0].url, at).pathname, '/api/admin/cache-warm/')
    const page = await (await app.request('/api/admin/cache-warm/docs')).text()
    const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link as string)
    assertEquals(links.length, 4)
    for (const link of links) {
      const { pathname } = new URL(link, 'http://h/api/admin/cache-warm/docs')
      assertEquals((await app.request(pathname)).status, 200, pathname)
    }
  })
})

describe('GET /docs', () => {
  it('is a page without scripts of its own, and with a strict policy', async () => {
    const response = await setup().app.request('/docs')
    const page = await response.text()
    assertMatch(response.headers.get('content-type') ?? '', /^text\/html/)
    const policy = response.headers.get('content-security-policy') ?? ''
    assertMatch(policy, /default-src 'none'.*script-src 'self'(;|$).*frame-ancestors 'none'/)
    assert(!/<script>|https?:|onload/.test(page))
  })

  it('serves Swagger UI from disk, and says when it has not changed', async () => {
    const { app } = setup()
    const script = await app.request('/docs/swagger-ui-bundle.js')
    assertMatch(script.headers.get('content-type') ?? '', /^text\/javascript/)
    assert((await script.text()).length > 500_000)
    const etag = script.headers.get('etag') ?? ''
    assertMatch(etag, /^"\d+\.\d+\.\d+"$/)
    const again = await app.request('/docs/swagger-ui-bundle.js', { headers: { 'if-none-match': etag } })
    assertEquals([again.status, await again.text()], [304, ''])
  })

  it('leads from /docs/ to the page', async () => {
    const response = await setup().app.request('/docs/')
    assertEquals([response.status, response.headers.get('location')], [308, '../docs'])
  })
})
