import type { PlanExplanation } from '../types.ts'
import { table } from './table.ts'

/** What a number is called in the head of its column; others by their own name. */
const HEADS: Record<string, string> = { readsPerHour: 'reads/h', costMs: 'cost ms' }

/** Which keys come first, and why, for people. */
export function explanationText({ strategy, readsKnown, keys }: PlanExplanation): string[] {
  const names = [...new Set(keys.flatMap(({ why }) => Object.keys(why)))]
  const head = ['rank', 'key', 'task', 'priority', ...names.map((name) => HEADS[name] ?? name)]
  const rows = keys.map(({ rank, key, task, priority, why }) => [
    rank,
    key,
    task,
    rounded(priority),
    ...names.map((name) => rounded(why[name] ?? null)),
  ])
  return [
    `strategy: ${strategy}`,
    ...(readsKnown ? [] : ['no reads of the last hour are known: keys come in the order in which they are listed']),
    ...(keys.length === 0 ? ['no keys'] : table(head, rows)),
  ]
}

/** To four digits, or to the whole. */
function rounded(value: number | null): number | null {
  if (value === null || !Number.isFinite(value) || value === 0) return value
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4))
}
