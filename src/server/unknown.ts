import type { Hono } from 'hono'
import { PrewarmError } from '../errors.ts'
import type { ControlEnv } from './access/index.ts'

/** After all routes: a known path with another method is a 405 that says which it has, any other path a 404. */
export function refuseTheRest(app: Hono<ControlEnv>): void {
  const methods = new Map<string, Set<string>>()
  for (const { method, path } of app.routes) {
    if (method === 'ALL') continue
    const known = methods.get(path) ?? new Set<string>()
    known.add(method)
    if (method === 'GET') known.add('HEAD')
    methods.set(path, known)
  }
  for (const [path, known] of methods) {
    if (path.endsWith('*')) continue
    const allow = [...known].sort().join(', ')
    app.all(path, (c) => {
      c.header('allow', allow)
      throw new PrewarmError('METHOD_NOT_ALLOWED', `${c.req.method} is not for this path: it has ${allow}`)
    })
  }
  app.all('*', (c) => {
    throw new PrewarmError('NOT_FOUND', `There is no route ${c.req.method} ${c.req.path}: see GET /openapi.json`)
  })
}
