import type { OriginContext } from '../config/define.ts'
import { isPrewarmError, PrewarmError, redact } from '../errors.ts'
import { postgresError } from './failure.ts'
import type { SqlClient } from './sql-client.ts'

/** What a user's function receives; the database is opened when it is first asked for. */
export function userContext(
  client: () => SqlClient,
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): OriginContext {
  let sql: OriginContext['sql'] | undefined
  return {
    params,
    signal,
    get sql() {
      sql ??= client().user(signal)
      return sql
    },
  }
}

/** What a user's function threw: a Postgres error as such, anything else as a failure that may pass. */
export function userError(error: unknown, what: string): PrewarmError {
  if (isPrewarmError(error)) return error
  if (error instanceof Error && ('severity' in error || error.name === 'PostgresError' || 'errno' in error))
    return postgresError(error)
  const message = redact(error instanceof Error ? error.message : String(error))
  return new PrewarmError('ORIGIN_FAILED', `${what} threw: ${message}`, { detail: 'thrown', cause: error })
}
