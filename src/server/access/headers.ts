import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import { secureHeaders } from 'hono/secure-headers'
import { PrewarmError } from '../../errors.ts'

const COMMON = {
  // A handler may set its own, wider one: the documentation's page does.
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
  },
  xFrameOptions: 'DENY',
  xDownloadOptions: false,
  xDnsPrefetchControl: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
  originAgentCluster: false,
  overwrite: false,
} satisfies Parameters<typeof secureHeaders>[0]

/** Headers that keep a browser from doing anything odd with an answer; HSTS where `isSecure` says the client speaks TLS. */
export function safeHeaders(isSecure: (c: Parameters<MiddlewareHandler>[0]) => boolean): MiddlewareHandler {
  const plain = secureHeaders({ ...COMMON, strictTransportSecurity: false })
  const secure = secureHeaders({ ...COMMON, strictTransportSecurity: 'max-age=15552000' })
  return async (c, next) => {
    await (isSecure(c) ? secure : plain)(c, next)
    const { headers } = c.res
    if (c.req.path.includes('/warm/') || !headers.has('cache-control')) headers.set('cache-control', 'no-store')
  }
}

/**
 * Browsers may call from these origins, written exactly so, and from no other; with a token, never with cookies.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` for what no browser names as its origin, such as `*` or a URL with a path
 */
export function crossOrigin(origins: readonly string[]): MiddlewareHandler {
  const wrong = origins.findIndex((origin) => !isOrigin(origin))
  if (wrong !== -1) {
    throw new PrewarmError(
      'CONFIG_INVALID',
      `control.corsOrigins.${wrong} is '${origins[wrong]}', expected an origin such as 'https://ops.example': no path, no slash at its end, no *`,
    )
  }
  return cors({
    origin: [...origins],
    allowMethods: ['GET', 'POST', 'PATCH', 'DELETE'],
    allowHeaders: ['authorization', 'content-type', 'last-event-id', 'traceparent'],
    exposeHeaders: ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'x-trace-id'],
    maxAge: 600,
  })
}

function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z\d+.-]*:\/\/[^/*?#@\s]+$/.test(text) || !URL.canParse(text)) return false
  const { origin } = new URL(text)
  // Of a browser's own schemes, such as chrome-extension:, URL knows no origin.
  return origin === text || (origin === 'null' && !text.startsWith('file:'))
}
