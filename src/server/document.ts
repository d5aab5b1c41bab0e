import { readFileSync } from 'node:fs'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { ControlEnv } from './access/index.ts'

const TAGS = [
  { name: 'warm', description: 'Warm keys and tasks; delete what was warmed' },
  { name: 'jobs', description: 'What was asked for, and what became of it' },
  { name: 'status', description: 'What runs now' },
  { name: 'config', description: 'The running configuration' },
  { name: 'emergency', description: 'Stop at once, and go on' },
  { name: 'schedules', description: 'What runs by itself' },
  { name: 'events', description: 'What happens, while it happens' },
  { name: 'health', description: 'For orchestrators and Prometheus' },
]

const ABOUT = `Warms a Redis cache: by key, by pattern, by task, by prediction and by schedule.

GET routes need a token with \`warm:read\`, the others one with \`warm:write\`. Errors are problem details (RFC 9457);
compare their \`code\`. A W3C \`traceparent\` is taken over, and every answer tells its trace in \`x-trace-id\`.`

/** The OpenAPI description of `app`'s routes, made of the schemas that validate. */
export function documentOf(app: OpenAPIHono<ControlEnv>) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'prewarm control plane',
      version,
      description: ABOUT,
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    // Relative to where the description itself is: it does not know where it is mounted.
    servers: [{ url: '.', description: 'Where this is mounted' }],
    tags: TAGS,
    security: [{ bearer: [] }],
  })
  document.components = {
    ...document.components,
    securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
  }
  return document
}
