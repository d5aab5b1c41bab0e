import type { ErrorHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { type ErrorCode, isPrewarmError, PrewarmError, redact } from '../errors.ts'
import type { ControlEnv } from './access/index.ts'

/** One field of a request that is wrong. */
export interface FieldError {
  /** Its path: `keys.3`. */
  field: string
  /** What was given, shortened; null where nothing was. */
  value: string | number | boolean | null
  expected: string
}

/** What a problem says besides its code. */
export interface ProblemMembers {
  errors?: FieldError[]
  unmatched?: string[]
  failures?: { code: ErrorCode }[]
}

/** Codes whose status is not 500. */
const STATUS: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  REQUEST_INVALID: 400,
  USAGE: 400,
  PARAM_INVALID: 400,
  CONFIG_INVALID: 400,
  KEY_INVALID: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  BODY_TOO_LARGE: 413,
  CONTENT_TYPE: 415,
  KEYS_UNMATCHED: 422,
  TASK_UNKNOWN: 422,
  RATE_LIMITED: 429,
  NOT_READY: 503,
  MODEL_INVALID: 503,
  STOPPED: 503,
  HALTED: 503,
  STORE_REFUSED: 503,
  STORE_TIMEOUT: 503,
  STORE_UNREACHABLE: 503,
  ORIGIN_FAILED: 503,
  ORIGIN_TIMEOUT: 503,
  ORIGIN_UNREACHABLE: 503,
}

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** An error of a request, with what its answer says besides. */
export class RequestError extends PrewarmError {
  readonly members: ProblemMembers

  constructor(code: ErrorCode, message: string, members: ProblemMembers = {}) {
    super(code, message)
    this.members = members
  }
}

/** Answers every error as problem details (RFC 9457). What is not ours is told to `report`, and to the caller only by its trace id. */
export function answerError(report: (error: unknown, traceId: string) => void): ErrorHandler<ControlEnv> {
  return (error, c) => {
    const known = ownError(error)
    const code = known?.code ?? 'INTERNAL'
    const status = STATUS[code] ?? 500
    const traceId: string | undefined = c.get('traceId')
    if (status === 500) report(error, traceId ?? '')
    const kind = code.toLowerCase().replaceAll('_', '-')
    const body = {
      type: `urn:prewarm:problem:${kind}`,
      title: TITLES[status] as string,
      status,
      detail: known === null ? 'It failed for a reason of its own; the log says which' : redact(known.message),
      instance: c.req.path,
      code,
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...(known instanceof RequestError ? known.members : {}),
    }
    return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
  }
}

/** Null for what is neither ours nor the framework's. */
function ownError(error: unknown): PrewarmError | null {
  if (isPrewarmError(error)) return error
  if (!(error instanceof HTTPException)) return null
  if (error.status === 415)
    return new PrewarmError('CONTENT_TYPE', "The body's type is not known: send content-type: application/json")
  return error.status < 500 ? new PrewarmError('REQUEST_INVALID', error.message || 'The request is malformed') : null
}
