import type { Context } from 'hono'
import type { ControlSettings } from '../../config/service-settings.ts'
import { PrewarmError } from '../../errors.ts'
import { addressOf, isLoopback } from './address.ts'

const HOW = 'set PREWARM_JWT_SECRET (or control.jwt) and send a token'

/**
 * Without tokens only this machine's own programs are answered: from loopback, under a name of loopback (a web page
 * whose name was pointed at 127.0.0.1 still sends its own), and not on behalf of a web page of another origin.
 *
 * @throws {PrewarmError} `FORBIDDEN`
 */
export function requireLocal(c: Context, client: string | null, corsOrigins: readonly string[]): void {
  if (client === null) throw forbidden(`The caller's address is not known, and no tokens are configured: ${HOW}`)
  if (!isLoopback(client)) throw forbidden(`Only loopback is answered as no tokens are configured: ${HOW}`)
  const host = c.req.header('host') ?? new URL(c.req.url).host
  if (!isLoopbackHost(hostnameOf(host))) {
    throw forbidden(`The Host header does not name loopback, and no tokens are configured: use localhost, or ${HOW}`)
  }
  const origin = c.req.header('origin')
  if (origin !== undefined && corsOrigins.includes(origin)) return
  const isForeign = origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)
  const site = c.req.header('sec-fetch-site')
  if (isForeign || site === 'cross-site' || (site === 'same-site' && c.req.method !== 'GET')) {
    throw forbidden('The request comes from a web page of another origin: see control.corsOrigins')
  }
}

/**
 * For what opens a port: without tokens it may be on loopback only.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` saying what to set
 */
export function assertMayListen({ jwt }: Pick<ControlSettings, 'jwt'>, host: string): void {
  if (jwt !== undefined || isLoopbackHost(host)) return
  throw new PrewarmError(
    'CONFIG_INVALID',
    `--host (control.host) is '${host}', which is not loopback, and nothing says who may call: ` +
      'set PREWARM_JWT_SECRET to at least 32 random bytes (or control.jwt), or listen on 127.0.0.1',
  )
}

/** `localhost`, a name below it, 127.0.0.0/8 or ::1. */
function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  const address = addressOf(name)
  return address !== null && isLoopback(address)
}

/** A Host header without its port. */
function hostnameOf(host: string): string {
  return host.startsWith('[') ? host.replace(/\]:\d+$/, ']') : host.replace(/:\d+$/, '')
}

function forbidden(message: string): PrewarmError {
  return new PrewarmError('FORBIDDEN', message)
}
