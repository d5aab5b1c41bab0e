/** No server is waited for longer than this, ms. */
const MAX_RETRY_AFTER_MS = 300_000

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The three forms of a date, by https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 ; all in UTC. */
const DATES = [
  /^\w{3}, (?<day>\d{2}) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^\w{6,9}, (?<day>\d{2})-(?<month>\w{3})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/,
]

/**
 * How long a `Retry-After` header asks to wait, ms: seconds or a date (RFC 9110, 10.2.3); at most 5 min.
 * Undefined where it asks for nothing: absent, not to be read, 0, or a time gone by.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : dateMs(text, nowMs) - nowMs
  return waitMs > 0 ? Math.min(MAX_RETRY_AFTER_MS, waitMs) : undefined
}

function dateMs(text: string, nowMs: number): number {
  for (const form of DATES) {
    const { day, month, year, time } = form.exec(text)?.groups ?? {}
    if (day === undefined || month === undefined || year === undefined || time === undefined) continue
    const monthIndex = MONTHS.indexOf(month)
    const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number)
    const at = (full: number) => Date.UTC(full, monthIndex, Number(day), hours, minutes, seconds)
    if (monthIndex === -1) return Number.NaN
    if (year.length === 4) return at(Number(year))
    // Two digits of a year: the latest that is not more than 50 years ahead.
    const nowYear = new Date(nowMs).getUTCFullYear()
    return at(nowYear + 50 - ((((nowYear + 50 - Number(year)) % 100) + 100) % 100))
  }
  return Number.NaN
}
