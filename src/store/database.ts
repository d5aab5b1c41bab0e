import type { Redis } from 'ioredis'
import { isPrewarmError, PrewarmError, redact } from '../errors.ts'

/** `detail` of an error that says that the server has no such database as the URL names. */
const NO_DATABASE = 'NO_DATABASE'

/**
 * Calls `begin` whenever the client is connected, and in the database that its URL names: the client itself would go on in
 * database 0 where there is none such. Where it is not let in, `refuse` is told why, and has to cut the connection.
 */
export function whenSelected(
  redis: Redis,
  url: string,
  { begin, refuse }: { begin: () => void; refuse: (error: unknown) => void },
): void {
  redis.on('ready', () => {
    const { db = 0 } = redis.options
    if (db === 0) return begin()
    redis.select(db).then(
      () => redis.status === 'ready' && begin(),
      (error) => refuse(told(error, url)),
    )
  })
}

/** The server has no such database: asking again would not help. */
export function isNoDatabase(error: unknown): error is PrewarmError {
  return isPrewarmError(error) && error.detail === NO_DATABASE
}

function told(error: Error, url: string): Error {
  const { message } = error
  if (!/not an integer|DB index|out of range/.test(message)) return error
  const fix = 'end the URL with one that it has, as in /0'
  const text = `Redis has no such database as ${redact(url)} names (${message}): ${fix}`
  return new PrewarmError('STORE_UNREACHABLE', text, { detail: NO_DATABASE, cause: error })
}
