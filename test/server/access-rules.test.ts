import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { DOCUMENT, send, setup } from './support.ts'

/** What each route asks for, in order. */
const RULES: Record<string, string[]> = {
  'POST /warm/key': ['needs warm:write', 'limits warm'],
  'POST /warm/pattern': ['needs warm:write', 'limits warm'],
  'POST /warm/trigger-predictive': ['needs warm:write', 'limits warm'],
  'POST /warm/run': ['needs warm:write', 'limits warm'],
  'GET /warm/jobs': ['needs warm:read', 'limits other'],
  'GET /warm/jobs/{id}': ['needs warm:read', 'limits other'],
  'DELETE /warm/jobs/{id}': ['needs warm:write', 'limits other'],
  'GET /warm/predict': ['needs warm:read', 'limits other'],
  'GET /warm/status': ['needs warm:read', 'limits status'],
  'GET /warm/config': ['needs warm:read', 'limits other'],
  'POST /warm/config': ['needs warm:write', 'limits other'],
  'POST /warm/clear': ['needs warm:write', 'limits clear'],
  'POST /warm/stop': ['needs warm:write'],
  'POST /warm/resume': ['needs warm:write'],
  'GET /warm/schedules': ['needs warm:read', 'limits other'],
  'POST /warm/schedules': ['needs warm:write', 'limits other'],
  'DELETE /warm/schedules/{name}': ['needs warm:write', 'limits other'],
  'POST /warm/schedules/{name}/pause': ['needs warm:write', 'limits other'],
  'POST /warm/schedules/{name}/resume': ['needs warm:write', 'limits other'],
  'POST /warm/schedules/{name}/run': ['needs warm:write', 'limits other'],
  'POST /warm/optimize': ['needs warm:write', 'limits other'],
  'POST /access': ['needs warm:write', 'limits other'],
  'GET /warm/events': ['needs warm:read', 'limits other'],
  'GET /metrics': ['needs warm:read', 'limits other'],
  'GET /healthz': [],
  'GET /readyz': [],
  'GET /startedz': [],
}

/** Not part of the description: it and its page. */
const DOCS = [
  '/openapi.json',
  '/docs',
  '/docs/',
  '/docs/start.js',
  '/docs/swagger-ui-bundle.js',
  '/docs/swagger-ui.css',
]

const concrete = (path: string) => path.replace(/\{\w+\}/, 'one')

describe('access', () => {
  it('every route that is described has its rule here', () => {
    const routes = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    assertEquals(routes.sort(), Object.keys(RULES).sort())
  })

  for (const [route, rule] of Object.entries(RULES)) {
    const [method, path] = route.split(' ') as [string, string]
    it(`${route} asks for ${rule.join(', then ') || 'nothing'}`, async () => {
      const s = setup()
      s.access.isLimited = true
      const { status } = await send(s, method, concrete(path))
      assertEquals(s.access.asked, rule)
      if (rule.length === 2) assertEquals(status, 429)
    })
    if (rule.length === 0) continue
    it(`${route} does nothing without a token, or with one that may not`, async () => {
      const s = setup()
      s.access.scopes = null
      // Not even a look at the body: it is malformed.
      const none = await send(s, method, concrete(path), method === 'POST' ? '{' : undefined)
      assertEquals([none.status, none.body.code], [401, 'UNAUTHENTICATED'])
      s.access.scopes = [rule[0] === 'needs warm:write' ? 'warm:read' : 'warm:write']
      const other = await send(s, method, concrete(path), method === 'POST' ? '{' : undefined)
      assertEquals([other.status, other.body.code], [403, 'FORBIDDEN'])
      assertEquals([s.warmer.submitted, s.warmer.calls], [[], []])
    })
  }

  for (const path of DOCS)
    it(`GET ${path} asks once for warm:read, unless publicDocs is set`, async () => {
      const s = setup()
      await s.app.request(path)
      assertEquals(s.access.asked, ['needs warm:read', 'limits other'])
      s.access.scopes = null
      assertEquals((await s.app.request(path)).status, 401)
      const open = setup({}, { control: { publicDocs: true } })
      open.access.scopes = null
      assertEquals((await open.app.request(path)).status < 400, true)
      assertEquals(open.access.asked, [])
    })

  it('GET /metrics asks for nothing if publicMetrics is set', async () => {
    const s = setup({}, { control: { publicMetrics: true } })
    s.access.scopes = null
    assertEquals([(await send(s, 'GET', '/metrics')).status, s.access.asked], [200, []])
  })

  it('the guard sees every answer', async () => {
    const s = setup()
    for (const path of ['/healthz', '/warm/status', '/warm/jobs/none', '/nothing', '/docs', '/docs/swagger-ui.css'])
      assertEquals((await s.app.request(path)).headers.get('x-guarded'), 'yes', path)
  })

  it('HEAD asks for what GET asks', async () => {
    const s = setup()
    s.access.scopes = null
    assertEquals((await s.app.request('/warm/status', { method: 'HEAD' })).status, 401)
  })

  it('without `access`, the settings are what counts: nobody is let in by default', async () => {
    const { controlPlane } = await import('../../src/server/index.ts')
    const { warmer } = setup({}, { control: { jwt: { algorithm: 'HS256', secret: 's'.repeat(32) } } })
    const app = controlPlane(warmer, { clock: warmer.clock })
    assertEquals((await app.request('/warm/status')).status, 401)
    assertEquals((await app.request('/healthz')).status, 200)
    const local = setup()
    // No socket, so that nobody knows where the caller is.
    assertEquals((await controlPlane(local.warmer, { clock: local.warmer.clock }).request('/warm/status')).status, 403)
  })
})
