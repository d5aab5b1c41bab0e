import type { Config } from './config/load.ts'
import { readsDatabase } from './config/task.ts'
import type { Commands } from './coordination/types.ts'
import { toFailure } from './errors.ts'
import type { Readiness } from './facade.ts'
import { PING, type SqlClient } from './origin/sql-client.ts'

/** Bound on the database's answer, ms. */
const TIMEOUT_MS = 2000

/** Asks Redis, and Postgres where a task needs it, whether they are there. Bounded; never throws. */
export async function readiness(config: Config, commands: Commands, client: () => SqlClient): Promise<Readiness> {
  const checks: Promise<unknown>[] = [commands.call('PING')]
  const needsDatabase = [...config.tasks.values()].some((task) => readsDatabase(task, config.settings))
  if (config.settings.control.readyNeedsOrigin && needsDatabase) checks.push(askDatabase(client))
  const results = await Promise.allSettled(checks)
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [toFailure(result.reason)] : []))
  return { ready: failures.length === 0, failures }
}

async function askDatabase(client: () => SqlClient): Promise<void> {
  await client().rows(PING, { as: 'text', timeoutMs: TIMEOUT_MS, signal: new AbortController().signal })
}
