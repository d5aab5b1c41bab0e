/** The cells of one line of CSV (RFC 4180); null where a quote is not closed: cells do not go over several lines here. */
export function csvCells(line: string): string[] | null {
  if (!line.includes('"')) return line.split(',')
  const cells: string[] = []
  for (let at = 0; ; at++) {
    let cell = ''
    if (line[at] === '"') {
      for (at++; ; at++) {
        const end = line.indexOf('"', at)
        if (end === -1) return null
        cell += line.slice(at, end)
        at = end + 1
        if (line[at] !== '"') break
        cell += '"'
      }
      if (at < line.length && line[at] !== ',') return null
    } else {
      const end = line.indexOf(',', at)
      cell = line.slice(at, end === -1 ? undefined : end)
      at = end === -1 ? line.length : end
    }
    cells.push(cell)
    if (at >= line.length) return cells
  }
}
