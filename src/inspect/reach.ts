import { readsDatabase } from '../config/task.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import { PING } from '../origin/sql-client.ts'
import type { Warmer } from '../warmer.ts'
import type { Selected } from './select.ts'

/** Together with the start of the program it stays below the 5 s within which an absent server is told. */
const REACH_TIMEOUT_MS = 3500

/**
 * Asks the servers that the tasks need whether they are there, all at the same time.
 *
 * @throws {PrewarmError} `STORE_UNREACHABLE`, `ORIGIN_UNREACHABLE`, `JOB_CANCELLED`
 */
export async function reach(
  warmer: Warmer,
  selected: readonly Selected[],
  { withStore, signal }: { withStore: boolean; signal: AbortSignal },
): Promise<void> {
  const { settings } = warmer.config
  const checks: Promise<unknown>[] = []
  if (withStore) checks.push(warmer.store.connect(REACH_TIMEOUT_MS))
  if (selected.some(({ task }) => readsDatabase(task, settings)))
    checks.push(askPostgres(warmer, settings.databaseUrl, signal))
  await Promise.all(checks)
}

async function askPostgres({ client }: Warmer, url: string | undefined, signal: AbortSignal): Promise<void> {
  try {
    // The client adds a second of its own to the statement's bound.
    await client.rows(PING, { as: 'text', timeoutMs: REACH_TIMEOUT_MS - 1000, signal })
  } catch (error) {
    if (isPrewarmError(error) && error.code === 'JOB_CANCELLED') throw error
    // Whatever failed, this database can't be used.
    const why = (error instanceof Error ? error.message : String(error)).replace(/^Cannot reach Postgres: /, '')
    throw new PrewarmError('ORIGIN_UNREACHABLE', `Cannot reach Postgres${hostOf(url)}: ${why}`, { cause: error })
  }
}

function hostOf(url: string | undefined): string {
  try {
    const host = url === undefined ? '' : new URL(url).host
    return host === '' ? '' : ` at ${host}`
  } catch {
    return ''
  }
}
