const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** A number below is s since 1970, from there on ms, and so on for µs and ns: 1e11 s is the year 5138, 1e11 ms 1973. */
const STEP = 1e11
/** What a Date can hold. */
const MAX_MS = 8.64e15

/**
 * When a line says that something was read, as ms since 1970: ISO 8601 (UTC where no zone is given), a number of s, ms, µs or ns
 * told apart by its size, or `10/Oct/2000:13:55:36 -0700` as web servers write it. Null for anything else.
 */
export function timeOf(value: unknown): number | null {
  if (typeof value === 'number') return fromNumber(value)
  if (typeof value !== 'string') return null
  const text = value.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return fromNumber(Number(text))
  return fromIso(text) ?? fromCommonLog(text)
}

/** A field that says its unit: ms since 1970. */
export function msOf(value: unknown): number | null {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : ''
  return /^\d+(\.\d+)?$/.test(text) ? valid(Number(text)) : timeOf(value)
}

function fromNumber(number: number): number | null {
  if (!(number >= 0)) return null
  if (number < STEP) return valid(number * 1000)
  if (number < STEP * 1000) return valid(number)
  return valid(number < STEP * 1e6 ? number / 1000 : number / 1e6)
}

function fromIso(text: string): number | null {
  const [, date, time = 'T00:00', zone] =
    /^(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)? ?(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(text) ?? []
  if (date === undefined) return null
  const [, sign = '+', hours = '00', minutes = '00'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone ?? '') ?? []
  return valid(Date.parse(`${date}T${time.slice(1).replace(',', '.')}${sign}${hours}:${minutes}`))
}

function fromCommonLog(text: string): number | null {
  const found = /^\[?(\d\d?)\/([A-Za-z]{3})\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\]?$/.exec(text)
  if (found === null) return null
  const [, day, name = '', year, hours, minutes, seconds, sign, zoneHours, zoneMinutes] = found
  const month = String(MONTHS.indexOf(name[0]?.toUpperCase() + name.slice(1).toLowerCase()) + 1).padStart(2, '0')
  const date = `${year}-${month}-${day?.padStart(2, '0')}`
  return valid(Date.parse(`${date}T${hours}:${minutes}:${seconds}${sign}${zoneHours}:${zoneMinutes}`))
}

function valid(ms: number): number | null {
  return ms >= 0 && ms <= MAX_MS ? Math.floor(ms) : null
}
