import { percent, showBytes, table } from '../cli/table.ts'
import type { JobResult } from '../index.ts'
import type { CitiesReport, Pass } from './cities.ts'
import type { RecipeReport } from './recipes.ts'

/** The two passes side by side, and in a sentence what one sees. */
export function citiesText({ warmed, cold, warm }: CitiesReport, job: JobResult): string {
  const rows: [string, (pass: Pass) => string][] = [
    ['hit rate', (pass) => percent(pass.hitRate)],
    ['p50', (pass) => `${pass.p50Ms.toFixed(2)} ms`],
    ['p95', (pass) => `${pass.p95Ms.toFixed(2)} ms`],
    ['p99', (pass) => `${pass.p99Ms.toFixed(2)} ms`],
    ['origin queries', (pass) => grouped(pass.originQueries)],
  ]
  const requests = job.tasks.reduce((sum, task) => sum + task.originRequests, 0)
  return [
    '',
    ...sideBySide([['', 'cold', 'warm'], ...rows.map(([name, show]) => [name, show(cold), show(warm)])]),
    '',
    `Warming took ${seconds(job)}: ${grouped(warmed)} cities, read from Postgres in ${grouped(requests)} queries.`,
    ...trouble(job),
    `Cold, ${of100(cold)} of 100 requests had to wait for Postgres; after warming ${of100(warm)} had to.`,
  ].join('\n')
}

/** What a recipe's job did, task by task, and what is in Redis after it. */
export function recipeText({ estimate, job, stored, stats }: RecipeReport): string {
  const rows = job.tasks.map(({ task, keys, durationNs }) => {
    const estimated = estimate.tasks.find((one) => one.task === task)?.keys ?? null
    return [task, estimated, keys.written, keys.failed, Math.round(durationNs / 1e6)]
  })
  const { usedMemoryBytes, maxMemoryBytes } = stats.redis
  const bound = maxMemoryBytes === 0 ? 'no maxmemory' : `maxmemory ${showBytes(maxMemoryBytes)}`
  return [
    '',
    ...table(['task', 'estimated', 'written', 'failed', 'ms'], rows),
    '',
    `estimate  ${estimate.keys} keys, ${showBytes(estimate.bytes)} in a 64-bit Redis: ${estimate.verdict}`,
    `in Redis  ${stored.keys} keys, ${showBytes(stored.bytes)}, such as ${stored.examples.join(', ')}`,
    `stats     coverage ${percent(stats.coverage)}, Redis uses ${showBytes(usedMemoryBytes)}, ${bound}`,
    ...trouble(job),
    '',
    `Warming took ${seconds(job)}: ${job.status}.`,
  ].join('\n')
}

function trouble(job: JobResult): string[] {
  return job.tasks.flatMap(({ task, firstError }) =>
    firstError === null ? [] : [`error: ${task}: ${firstError.code}: ${firstError.message}`],
  )
}

/** Figures with their units, to the right. */
function sideBySide(rows: readonly (readonly string[])[]): string[] {
  const width = (at: number) => Math.max(...rows.map((row) => (row[at] as string).length))
  const widths = [width(0), width(1), width(2)]
  const lines = rows.map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0))).join('   '),
  )
  lines.splice(1, 0, widths.map((length) => '-'.repeat(length)).join('   '))
  return lines
}

function of100({ hitRate }: Pass): string {
  const misses = 100 * (1 - hitRate)
  return misses > 0 && misses < 10 ? misses.toFixed(1) : String(Math.round(misses))
}

function seconds(job: JobResult): string {
  return `${(job.durationNs / 1e9).toFixed(2)} s`
}

function grouped(value: number): string {
  return value.toLocaleString('en-US')
}
