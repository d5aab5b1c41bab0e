import { PrewarmError } from '../errors.ts'

/** What a version may be given as: a counter, a time, or the text of either. */
export type VersionValue = number | bigint | Date | string

const TIMESTAMP =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6})\d*)?(Z|[+-]\d{2}(?::?\d{2})?(?::?\d{2})?)?$/

/**
 * A version as the decimal text of a non-negative integer, so that two compare by length, then by text.
 * Times become microseconds since 1970; a time without a zone is read as UTC.
 * The store's Lua reads versions embedded in values by the same rules.
 *
 * @throws {PrewarmError} `VERSION_INVALID` if it is neither a non-negative integer nor a time
 */
export function versionText(value: unknown): string {
  if (typeof value === 'bigint' && value >= 0n) return value.toString()
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return String(value)
  if (value instanceof Date && value.getTime() >= 0) return `${value.getTime() * 1000}`
  if (typeof value === 'string') {
    if (/^\d+$/.test(value)) return value.replace(/^0+(?=\d)/, '')
    const micros = timestampMicros(value)
    if (micros !== null) return String(micros)
  }
  const shown =
    value === null || value === undefined ? String(value) : `${typeof value} '${String(value).slice(0, 40)}'`
  throw new PrewarmError(
    'VERSION_INVALID',
    `Cannot read version: expected an integer >= 0 or a time, current value is ${shown}`,
  )
}

/** Whether the first of two versions, as `versionText` gives them, is older; one that is not known is not older. */
export function isOlderVersion(version: string | undefined, than: string | undefined): boolean {
  if (version === undefined || than === undefined) return false
  return version.length === than.length ? version < than : version.length < than.length
}

function timestampMicros(text: string): number | null {
  const found = TIMESTAMP.exec(text)
  if (found === null) return null
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = found
  if (Number(year) < 1969) return null
  const wholeMs = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
  const micros = wholeMs * 1000 + Number(fraction.padEnd(6, '0')) - zoneSeconds(zone) * 1_000_000
  return micros >= 0 ? micros : null
}

function zoneSeconds(zone: string): number {
  if (zone === 'Z') return 0
  const digits = zone.slice(1).replaceAll(':', '')
  const seconds = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4)) * 60 + Number(digits.slice(4, 6))
  return zone[0] === '-' ? -seconds : seconds
}
