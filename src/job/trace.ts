import { PrewarmError } from '../errors.ts'

/**
 * A W3C trace id: the one given, or a random one. https://www.w3.org/TR/trace-context/#trace-id
 *
 * @throws {PrewarmError} `USAGE` if it is not 32 hex digits, or all zeros
 */
export function traceIdOf(given: string | undefined): string {
  if (given === undefined) return crypto.randomUUID().replaceAll('-', '')
  if (/^(?!0+$)[0-9a-f]{32}$/.test(given)) return given
  throw new PrewarmError('USAGE', `traceId is '${given}', expected 32 hex digits`)
}
