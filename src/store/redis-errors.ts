import { type Failure, isPrewarmError, PrewarmError, redact } from '../errors.ts'

/** Replies by which Redis says that it did not run the command, and that it may run it later. */
const LATER = /^(LOADING|BUSY|READONLY|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)/
const REFUSED =
  /^(NOPERM|NOAUTH|OOM|LOADING|BUSY|READONLY|MASTERDOWN|MISCONF|NOREPLICAS|CROSSSLOT|MOVED|ASK|TRYAGAIN|CLUSTERDOWN|NOSCRIPT|ERR unknown command|DENIED)/

/** Redis' own word for an error: `OOM`, `WRONGTYPE`, … */
export function prefixOf(message: string): string {
  return /^[A-Z]{2,}/.exec(message)?.[0] ?? 'ERR'
}

/** A key's write that Redis refused. */
export function refused(message: string, key: string): Failure {
  return {
    code: 'STORE_REFUSED',
    message: `Redis refused to write '${key}': ${message}`,
    detail: prefixOf(message),
    key,
  }
}

/** A command that Redis refused. */
export function refusedCall(name: string, message: string): PrewarmError {
  return new PrewarmError('STORE_REFUSED', `Redis refused ${name}: ${message}`, { detail: prefixOf(message) })
}

/** For a command's `catch`: what Redis itself answered is told as a refusal. */
export function refusing(name: string): (error: Error) => never {
  return (error) => {
    throw isReply(error) ? refusedCall(name, error.message) : error
  }
}

export function isReply(error: Error): boolean {
  return error.name === 'ReplyError'
}

/** A reply that surely means: nothing was done. */
export function nothingDone(message: string): boolean {
  return REFUSED.test(message)
}

export function mayPass(message: string): boolean {
  return LATER.test(message)
}

export function unreachable(error: unknown, url: string): PrewarmError {
  // What was told once already.
  if (isPrewarmError(error) && error.code === 'STORE_UNREACHABLE') return error
  const message = error instanceof Error ? error.message || error.name : String(error)
  const code = (error as { code?: string } | null)?.code
  const what = error instanceof Error && isReply(error) ? 'prewarm is refused by Redis at' : 'Cannot reach Redis at'
  const reason = redact(message === '' ? (code ?? 'no answer') : message)
  return new PrewarmError('STORE_UNREACHABLE', `${what} ${redact(url)}: ${reason}`, {
    detail: code,
    cause: error,
  })
}
