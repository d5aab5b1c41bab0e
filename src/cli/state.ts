import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { PrewarmError } from '../errors.ts'
import type { Runtime } from '../runtime/types.ts'
import type { JobResult } from '../types.ts'

/**
 * Makes and names the folder for what outlives a run; only its owner may look into it.
 *
 * @throws {PrewarmError} `USAGE` if it can't be made
 */
export async function stateFolder({ env }: Runtime): Promise<string> {
  const folder = folderOf(env)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    const reason = (error as Error).message
    throw new PrewarmError('USAGE', `Cannot make ${folder}: set XDG_STATE_HOME to a folder of your own (${reason})`)
  }
  return folder
}

/** Remembers a job for `stats` and `verify`. */
export async function writeLastJob(runtime: Runtime, configFile: string, job: JobResult): Promise<void> {
  const folder = await stateFolder(runtime)
  const file = join(folder, nameOf(configFile))
  // Renamed, so that nobody reads half of it.
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(draft, JSON.stringify({ configFile, job }), { mode: 0o600 })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** The last job of this configuration, or null if none is remembered. */
export async function readLastJob({ env }: Runtime, configFile: string): Promise<JobResult | null> {
  try {
    const { job } = JSON.parse(await readFile(join(folderOf(env), nameOf(configFile)), 'utf8')) as { job?: JobResult }
    return Array.isArray(job?.tasks) ? job : null
  } catch {
    return null
  }
}

function folderOf(env: Runtime['env']): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'prewarm')
}

function nameOf(configFile: string): string {
  return `last-job-${createHash('sha256').update(configFile).digest('hex').slice(0, 16)}.json`
}
