/** For people: whole, with commas. */
export function shown(number: number): string {
  return Math.round(number).toLocaleString('en-US')
}

export function meanOf(gapsMs: readonly number[]): number {
  return Math.round(gapsMs.reduce((sum, gap) => sum + gap, 0) / gapsMs.length)
}

/** To a length of time that people would choose. */
export function roundedDown(ms: number): number {
  const unit = unitOf(ms)
  return Math.floor(ms / unit) * unit
}

export function roundedUp(ms: number): number {
  const unit = unitOf(ms)
  return Math.ceil(ms / unit) * unit
}

function unitOf(ms: number): number {
  return ms < 600_000 ? 10_000 : ms < 3_600_000 ? 60_000 : 300_000
}
