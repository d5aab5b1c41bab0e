/**
 * The stable codes an error or a failed key can carry. A code never changes its meaning;
 * class identity does not survive `postMessage`, so callers compare codes.
 */
export type ErrorCode =
  // the caller's mistake
  | 'USAGE'
  | 'CONFIG_INVALID'
  | 'CONFIG_NOT_FOUND'
  | 'TASK_UNKNOWN'
  | 'PARAM_INVALID'
  | 'WORKERS_NEED_CONFIG_FILE'
  | 'MODEL_INVALID'
  | 'SNAPSHOT_INVALID'
  | 'SNAPSHOT_MISMATCH'
  | 'LOG_INVALID'
  // one key
  | 'KEY_INVALID'
  | 'VALUE_INVALID'
  | 'VERSION_INVALID'
  | 'ORIGIN_NO_VALUE'
  // the origin
  | 'ORIGIN_FAILED'
  | 'ORIGIN_TIMEOUT'
  | 'ORIGIN_UNREACHABLE'
  // the store
  | 'STORE_REFUSED'
  | 'STORE_TIMEOUT'
  | 'STORE_UNREACHABLE'
  | 'WRITE_UNCONFIRMED'
  | 'LOCK_LOST'
  // the HTTP API
  | 'REQUEST_INVALID'
  | 'BODY_TOO_LARGE'
  | 'CONTENT_TYPE'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'CONFLICT'
  | 'KEYS_UNMATCHED'
  | 'RATE_LIMITED'
  | 'NOT_READY'
  // the daemon
  | 'DAEMON_RUNNING'
  | 'DAEMON_NOT_RUNNING'
  | 'DAEMON_FAILED'
  // the machinery
  | 'WORKER_LOST'
  | 'BATCH_DEADLINE'
  | 'JOB_CANCELLED'
  | 'JOB_TIMEOUT'
  | 'STOPPED'
  | 'HALTED'
  | 'EMBEDDED_MISSING'
  | 'EMBEDDED_FAILED'
  | 'INTERNAL'

/** A plain, cloneable form of an error: what crosses `postMessage` and what `--json` prints. */
export interface Failure {
  code: ErrorCode
  message: string
  /** The other side's own code: an SQLSTATE, a Redis error prefix, an HTTP status. */
  detail?: string
  /** The key it happened to, where there was one. */
  key?: string
}

/** The base of every error that prewarm throws. Compare `code`, not the class. */
export class PrewarmError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined

  constructor(code: ErrorCode, message: string, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PrewarmError'
    this.code = code
    this.detail = options.detail
  }

  toJSON(): Failure {
    return { code: this.code, message: this.message, ...(this.detail === undefined ? {} : { detail: this.detail }) }
  }
}

/** True if `error` is a {@linkcode PrewarmError}, of this or another copy of the package. What crosses a thread is a {@linkcode Failure}. */
export function isPrewarmError(error: unknown): error is PrewarmError {
  return error instanceof Error && error.name === 'PrewarmError' && 'code' in error
}

/** Any thrown thing as a {@linkcode Failure}; what is not ours gets `fallback` as its code. Secrets in URLs are masked. */
export function toFailure(error: unknown, fallback: ErrorCode = 'INTERNAL'): Failure {
  if (isPrewarmError(error)) return error.toJSON()
  const message = error instanceof Error ? error.message : String(error)
  const detail = (error as { code?: unknown } | null)?.code
  return {
    code: fallback,
    message: redact(message),
    ...(typeof detail === 'string' || typeof detail === 'number' ? { detail: String(detail) } : {}),
  }
}

/** `text` with the user and password of every URL in it replaced by `***`. */
export function redact(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#:@]*:\S*|[^\s/?#]*)@/gi, '$1***@')
    .replace(/([?&](?:password|pass|pwd)=)[^&\s#'"]*/gi, '$1***')
}
