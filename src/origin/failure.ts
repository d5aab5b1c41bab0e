import { PrewarmError, redact } from '../errors.ts'

/** SQLSTATE classes and driver codes that mean "not there now", by https://www.postgresql.org/docs/current/errcodes-appendix.html */
const UNREACHABLE =
  /^(ECONN\w+|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|CONNECT\w*|CONNECTION_\w+|ERR_SOCKET\w*|ConnectionRefused|FailedToOpenSocket|08\w{3}|57P0[123]|53300)$/
const PASSING = /^(40001|40P01|55P03|53\w{3})$/

/** Any error of a Postgres driver as ours. */
export function postgresError(error: unknown): PrewarmError {
  if (error instanceof PrewarmError) return error
  const code = String((error as { code?: unknown } | null)?.code ?? '')
  const message = redact(error instanceof Error ? error.message : String(error))
  const options = { cause: error, ...(code === '' ? {} : { detail: code }) }
  if (code === '57014') return new PrewarmError('ORIGIN_TIMEOUT', `Postgres cancelled the query: ${message}`, options)
  if (UNREACHABLE.test(code))
    return new PrewarmError('ORIGIN_UNREACHABLE', `Cannot reach Postgres: ${message}`, options)
  return new PrewarmError('ORIGIN_FAILED', `Postgres: ${message}`, options)
}

/** Another try can help: the origin was away, slow, or asked for patience. A wrong query stays wrong. */
export function isRetryable(error: unknown): boolean {
  if (!(error instanceof PrewarmError)) return false
  if (error.code === 'ORIGIN_UNREACHABLE' || error.code === 'ORIGIN_TIMEOUT') return true
  return (
    error.code === 'ORIGIN_FAILED' &&
    (PASSING.test(error.detail ?? '') || /^(429|5\d\d|thrown)$/.test(error.detail ?? ''))
  )
}
