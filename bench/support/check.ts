/** Ends the bench with exit code 1: a figure for work that was not done is worse than none. */
export function check(ok: boolean, what: string): asserts ok {
  if (!ok) throw new Error(`bench check failed: ${what}`)
}

/** A whole number from the environment, such as BENCH_ROUNDS. */
export function setting(name: string, fallback: number): number {
  const value = Number(process.env[name] ?? fallback)
  check(Number.isInteger(value) && value > 0, `${name} is '${process.env[name]}', expected a whole number > 0`)
  return value
}

/** States a target and whether this run reached it. A miss is printed, not fatal: the machine may be busy. */
export function target(what: string, value: number, bound: '>=' | '<', limit: number, unit = 'x'): void {
  const reached = bound === '>=' ? value >= limit : value < limit
  console.log(
    `${reached ? 'reached' : 'MISSED '}  ${what}: ${value.toFixed(value < 0.1 ? 4 : 2)}${unit} (target ${bound} ${limit}${unit})`,
  )
}
