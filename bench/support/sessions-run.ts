import type { JobResult } from '../../src/index.ts'
import { check } from './check.ts'

export interface Run {
  result: JobResult
  /** Resident memory of the whole process (its workers are threads of it), every 25 ms, bytes. */
  rss: number[]
  /** The kernel's own highest mark, bytes. */
  peakRss: number
  cpuSeconds: number
}

export interface RunOptions {
  redisUrl: string
  databaseUrl: string
  limit: number
  workers: number
  originRps?: number | undefined
}

/** Warms the sessions in a process of its own, so that neither this one's memory nor its CPU counts. */
export async function runSessions({ redisUrl, databaseUrl, limit, workers, originRps }: RunOptions): Promise<Run> {
  const args = [redisUrl, databaseUrl, String(limit), String(workers)]
  const env = originRps === undefined ? {} : { BENCH_ORIGIN_RPS: String(originRps) }
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/sessions-child.ts`, ...args], {
    env: { ...process.env, ...env },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const said = await new Response(child.stdout).text()
  check((await child.exited) === 0, `the run ended with ${child.exitCode}`)
  const run = JSON.parse(said) as Run
  const { status, keys } = run.result
  check(status === 'success' && keys.written === limit, `the run is ${status}, ${keys.written} keys written`)
  return run
}
