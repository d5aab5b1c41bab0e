export const HOUR_MS = 3_600_000

/** `42`, `4.2`, `0.42`: short, with the digits that matter. */
export function shortNumber(value: number): string {
  if (value >= 10) return String(Math.round(value))
  return String(Number(value.toPrecision(2)))
}

/** `40 s`, `12 min`, `5 h`, `3 d`. */
export function shortTime(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 90) return `${Math.floor(seconds)} s`
  if (seconds < 90 * 60) return `${Math.floor(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** `+50 %` */
export function shortChange(share: number): string {
  return `${share < 0 ? '' : '+'}${Math.round(share * 100)} %`
}
