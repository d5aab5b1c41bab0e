/** Where nothing is known of what users read, and what to do about it. */
export const NO_READS =
  'no reads are known of: read through createCache, or tell recordRead, POST /access or `prewarm learn`'

/** Rows in columns; the first column to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = [head, ...rows.map((row) => row.map((cell) => shown(cell ?? '-')))]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const isText = head.map((_, column) => rows.every((row) => typeof row[column] === 'string'))
  return cells.map((row) =>
    row
      .map((cell, column) =>
        isText[column] ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd(),
  )
}

/** Keys may come from strangers: what would steer a terminal, or begin a line, is shown as a blank. */
function shown(cell: string | number): string {
  return String(cell).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
}

/** `0.4712` as `47.1%`, never rounded up to the whole. */
export function percent(share: number | null): string {
  if (share === null) return 'unknown'
  return `${share < 1 ? Math.floor(share * 1000) / 10 : 100}%`
}

/** Bytes for people. */
export function showBytes(bytes: number | null): string {
  if (bytes === null) return 'unknown'
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  let size = bytes
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}
