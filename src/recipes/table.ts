/** A function that names the tables of one schema in SQL text; without a schema the search path decides. */
export function tablesIn(schema: string | undefined): (table: string) => string {
  return (table) => (schema === undefined ? quoted(table) : `${quoted(schema)}.${quoted(table)}`)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * SQL for a number from 0 to below 1 that depends on its arguments only. `random()` after `setseed` would not do:
 * what a row gets then depends on the order in which the plan visits the rows.
 */
export function noise(seed: number, salt: string, ...columns: string[]): string {
  const text = [`'${Math.trunc(seed)}:${salt}'`, ...columns].join(` || ':' || `)
  return `(('x' || substr(md5(${text}), 1, 8))::bit(32)::bigint / 4294967296.0)`
}

/** SQL for one of `choices`, by {@linkcode noise}. */
export function pick(choices: readonly string[], by: string): string {
  const list = choices.map((choice) => `'${choice.replaceAll("'", "''")}'`).join(', ')
  return `(array[${list}])[1 + floor(${by} * ${choices.length})::int]`
}

/**
 * A whole number within bounds.
 *
 * @throws {RangeError} naming the option and its value
 */
export function wholeNumber(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new RangeError(`${name} must be a whole number from ${min} to ${max}, got ${value}`)
}
