/** Whether one time (ISO 8601 in UTC, as `toISOString` writes it) is later than another; null: never. */
export function isLater(time: string | null, than: string | null): boolean {
  return time !== null && (than === null || time > than)
}
