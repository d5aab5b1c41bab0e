import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { ControlEnv } from '../access/index.ts'
import { type Deps, permit, router } from '../describe.ts'
import { documentOf } from '../document.ts'

/** Files of swagger-ui-dist that the page loads, and their types. */
const FILES: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

// Addresses are relative, so that the page works wherever it is mounted.
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>prewarm control plane</title>
    <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`
const START = `SwaggerUIBundle({
  url: new URL('openapi.json', document.baseURI).href,
  dom_id: '#swagger-ui',
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  validatorUrl: null,
  deepLinking: true,
})
`

/** Nothing comes from elsewhere, and nothing stands in the page itself; Swagger UI's stylesheet draws small pictures from data. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const packageFile = () => fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json'))

/** GET /openapi.json, /docs and what that page loads. `app` has all the routes that are described. */
export function docRoutes({ warmer, access }: Deps, app: OpenAPIHono<ControlEnv>) {
  const isPublic = warmer.config.settings.control.publicDocs
  let document: string | undefined
  const routes = router()
  // `/docs/*` is `/docs`, too.
  if (!isPublic)
    for (const path of ['/openapi.json', '/docs/*']) routes.on('GET', [path], ...permit(access, 'warm:read', 'other'))
  routes.get('/openapi.json', (c) => {
    document ??= JSON.stringify(documentOf(app))
    return c.body(document, 200, { 'content-type': 'application/json' })
  })
  routes.get('/docs', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY }))
  routes.get('/docs/', (c) => c.redirect('../docs', 308))
  routes.get('/docs/start.js', (c) => c.body(START, 200, { 'content-type': 'text/javascript; charset=utf-8' }))
  for (const [name, type] of Object.entries(FILES)) routes.get(`/docs/${name}`, (c) => sendFile(c, name, type))
  return routes
}

async function sendFile(c: Context<ControlEnv>, name: string, type: string): Promise<Response> {
  const file = packageFile()
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string }
  const headers = { 'content-type': type, etag: `"${version}"`, 'cache-control': 'private, no-cache' }
  if (c.req.header('if-none-match') === headers.etag) return c.body(null, 304, headers)
  return c.body(await readFile(join(dirname(file), name)), 200, headers)
}
