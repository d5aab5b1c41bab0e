import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import type { SharedFlags } from './command.ts'
import type { Cli } from './context.ts'
import { stateFolder } from './state.ts'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Starts the same command again on its own, and tells where to look for it. */
export async function spawnAgain({ io, runtime, argv }: Cli, flags: SharedFlags): Promise<void> {
  const stamp = new Date().toISOString().replace(/[:.]/g, '-')
  const log = join(await stateFolder(runtime), `run-${stamp}-${randomBytes(3).toString('hex')}.log`)
  // Every user of the machine sees a program's arguments, so URLs travel in the environment.
  if (flags.redis !== undefined) process.env.REDIS_URL = flags.redis
  if (flags.database !== undefined) process.env.DATABASE_URL = flags.database
  const { pid } = runtime.spawnDetached([MAIN, ...withoutFlags(argv)], log)
  await io.answer(flags.json === true ? JSON.stringify({ pid, log }) : `pid ${pid}\nlog ${log}`)
}

/** The arguments without what would detach again, and without URLs. */
export function withoutFlags(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  const flags = end === -1 ? argv : argv.slice(0, end)
  const kept = flags.filter(
    (arg, index) =>
      !/^--(background|spawn|(redis|database)(=.*)?)$/.test(arg) &&
      !/^--(redis|database)$/.test(flags[index - 1] ?? ''),
  )
  return end === -1 ? kept : [...kept, ...argv.slice(end)]
}
