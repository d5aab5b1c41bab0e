import { PrewarmError, redact } from '../errors.ts'
import { strategyNames } from '../job/strategy/register.ts'
import type { Runtime } from '../runtime/types.ts'
import { checkSchedules } from '../schedule/check.ts'
import type { ConfigDefinition } from './define.ts'
import { type EnvironmentSettings, ownVariables, readEnvironment } from './environment.ts'
import { lint } from './lint.ts'
import { checkConfig } from './schema.ts'
import { type FlagSettings, type Settings, settle } from './settings.ts'
import { type Task, toTask } from './task.ts'

/** A checked configuration with every default filled in. */
export interface Config {
  /** As the user wrote it: what a change at run time is settled from. */
  definition: ConfigDefinition
  settings: Settings
  tasks: ReadonlyMap<string, Task>
  /** From the lint: allowed, and probably a mistake. */
  warnings: readonly string[]
  /** The environment variables that went into it. */
  env: Readonly<Record<string, string>>
  /** The file it came from; workers import it themselves. Absent for a configuration built in a program. */
  file: string | undefined
}

export interface ConfigInputs {
  env?: Readonly<Record<string, string | undefined>>
  flags?: FlagSettings
  nowMs?: number
}

/**
 * Checks `definition` and settles it: flag > environment > file > default.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` naming the path, the value and what was expected
 */
export function resolveConfig(
  definition: ConfigDefinition,
  { env = {}, flags = {}, nowMs = 0 }: ConfigInputs,
  cores: number,
  file?: string,
): Config {
  checkConfig(definition)
  const environment: EnvironmentSettings = readEnvironment(env, strategyNames(definition.strategies))
  const settings = settle(definition, environment, flags, cores)
  const tasks = new Map<string, Task>()
  for (const [name, task] of Object.entries(definition.tasks)) {
    try {
      tasks.set(name, toTask(name, task, settings))
    } catch (error) {
      throw new PrewarmError('CONFIG_INVALID', `tasks.${name}: ${(error as Error).message}`, { cause: error })
    }
  }
  checkSchedules({ definition, tasks }, nowMs)
  return { definition, settings, tasks, warnings: lint([...tasks.values()], nowMs), env: ownVariables(env), file }
}

const NAMES = ['prewarm.config.ts', 'prewarm.config.js', 'prewarm.config.mjs']

/**
 * Finds, imports and settles a configuration file.
 *
 * @param path the file; absent: `prewarm.config.ts`, `.js` or `.mjs` in the working directory
 * @throws {PrewarmError} `CONFIG_NOT_FOUND`, or `CONFIG_INVALID` if it can't be imported or is wrong
 */
export async function loadConfig(path: string | undefined, inputs: ConfigInputs, runtime: Runtime): Promise<Config> {
  const file = await findConfig(path, runtime)
  const definition = await importConfig(file, runtime)
  return resolveConfig(definition, inputs, runtime.cores, file)
}

/** Imports a configuration file's default export, unchecked. */
export async function importConfig(file: string, runtime: Runtime): Promise<ConfigDefinition> {
  let module: { default?: unknown }
  try {
    module = await runtime.importConfig(file)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new PrewarmError('CONFIG_INVALID', `Cannot import ${file}: ${redact(message)}`, { cause: error })
  }
  if (typeof module.default !== 'object' || module.default === null) {
    throw new PrewarmError(
      'CONFIG_INVALID',
      `${file} has no default export: write 'export default defineConfig({ ... })'`,
    )
  }
  return module.default as ConfigDefinition
}

async function findConfig(path: string | undefined, runtime: Runtime): Promise<string> {
  for (const name of path === undefined ? NAMES : [path]) {
    const file = runtime.resolvePath(name)
    if (await runtime.fileExists(file)) return file
  }
  throw new PrewarmError(
    'CONFIG_NOT_FOUND',
    path === undefined
      ? `No ${NAMES.join(', ')} in ${runtime.resolvePath('.')}: write one with 'prewarm init', or name it with --config FILE`
      : `There is no file ${path}: check --config, or write one with 'prewarm init'`,
  )
}
