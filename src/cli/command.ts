import { Command, Option } from 'commander'
import type { Task } from '../config/task.ts'
import { strategyNames } from '../job/strategy/register.ts'
import type { JobRequest, Params } from '../types.ts'
import { choiceOf, durationOf, FLAG_BOUNDS, listOf, numberOf, pairOf, urlOf } from './values.ts'

/** What every command that reads a configuration understands. */
export interface SharedFlags {
  config?: string
  redis?: string
  database?: string
  workers?: number
  verbose?: boolean
  json?: boolean
}

/** Which tasks, and with which values. */
export interface SelectionFlags extends SharedFlags {
  tag?: string[]
  critical?: boolean
  priority?: number
  count?: number
  batchSize?: number
  strategy?: string
  batchDelay?: number
  timeout?: number
  param?: Record<string, string>
  [declared: `param:${string}`]: string
}

/** commander's, but a mistyped flag is told without its value, which may be secret. */
export class PrewarmCommand extends Command {
  unknownOption(flag: string): void {
    const { unknownOption } = Command.prototype as unknown as { unknownOption(flag: string): void }
    unknownOption.call(this, flag.split('=')[0] as string)
  }
}

/** A command that reads a configuration. */
export function configuredCommand(name: string, description: string, example: string): PrewarmCommand {
  const command = new PrewarmCommand(name)
  command
    .description(description)
    .option('--config <FILE>', 'configuration file (default: prewarm.config.ts, .js or .mjs here)')
    .option(
      '--redis <URL>',
      'Redis to use, instead of REDIS_URL and the file',
      urlOf('--redis', 'redis://', 'rediss://'),
    )
    .option(
      '--database <URL>',
      'Postgres to use, instead of DATABASE_URL and the file',
      urlOf('--database', 'postgres://', 'postgresql://'),
    )
    .option('--workers <N>', 'worker threads, 0 for none', numberOf('--workers', FLAG_BOUNDS.workers))
    .option('--json', 'print exactly one JSON object on stdout')
    .option('--verbose', 'log also what is usual, on stderr')
    .addHelpText('after', `\nExample:\n  $ ${example}`)
  return command
}

/** Adds which tasks to take; `withBounds` also `--priority`, `--count` and `--batch-size`. */
export function addSelection<C extends Command>(command: C, { withBounds }: { withBounds: boolean }): C {
  command
    .argument('[task...]', 'tasks by name (default: all)')
    .option('--tag <TAG>', 'only tasks with this tag; may be repeated', listOf)
    .option('--critical', 'only tasks declared critical')
  if (withBounds) {
    command
      .option(
        '--priority <N>',
        "instead of the tasks' own; larger runs first",
        numberOf('--priority', FLAG_BOUNDS.priority),
      )
      .option('--count <N>', 'at most this many keys of each task', numberOf('--count', FLAG_BOUNDS.count))
      .option('--batch-size <N>', 'keys in a batch', numberOf('--batch-size', FLAG_BOUNDS.batchSize))
  }
  command.option(
    '--param <NAME=VALUE>',
    'a parameter by name, also one whose flag means something else; may be repeated',
    pairOf,
  )
  return command
}

/** Adds how the keys are ranked. */
export function addStrategy<C extends Command>(command: C, names: readonly string[] = strategyNames(undefined)): C {
  command.option(
    '--strategy <NAME>',
    `how keys are ranked: ${names.join(', ')} (default: defaultStrategy of the configuration)`,
    choiceOf('--strategy', names),
  )
  return command
}

/** Adds what only a run has. */
export function addJobOptions<C extends Command>(command: C): C {
  command
    .option('--batch-delay <MS>', 'pause between two batches of a task', numberOf('--batch-delay', FLAG_BOUNDS.delayMs))
    .option(
      '--timeout <TIME>',
      "bound on the whole job, in ms or as '5m' (default: 5m)",
      durationOf('--timeout', FLAG_BOUNDS.timeoutMs),
    )
  return command
}

/** Adds a flag for each parameter that the tasks declare, by last: what is a flag already stays what it is. */
export function addParams<C extends Command>(command: C, tasks: ReadonlyMap<string, Task> | undefined): C {
  const users = new Map<string, string[]>()
  for (const task of tasks?.values() ?? []) {
    for (const name of task.params.names) users.set(name, [...(users.get(name) ?? []), task.name])
  }
  const taken = new Set(command.options.map((option) => option.long))
  for (const reserved of ['--help', '--version']) taken.add(reserved)
  for (const [name, names] of users) {
    const kebab = kebabOf(name)
    if (!/^[A-Za-z]\w*(-\w+)*$/.test(name) || taken.has(`--${kebab}`)) continue
    for (const flag of new Set([kebab, name])) {
      // To commander `--no-x` is the contrary of `--x`.
      if (taken.has(`--${flag}`) || flag.startsWith('no-')) continue
      const option = new Option(`--${flag} <VALUE>`, `parameter of ${names.join(', ')}`)
      option.attributeName = () => `param:${name}`
      taken.add(`--${flag}`)
      command.addOption(flag === kebab ? option : option.hideHelp())
    }
  }
  return command
}

/** The request that the flags mean. */
export function requestOf(tasks: readonly string[], flags: SelectionFlags): JobRequest {
  const params: Params = {}
  for (const [name, value] of Object.entries(flags)) if (name.startsWith('param:')) params[name.slice(6)] = value
  Object.assign(params, flags.param)
  const { tag, critical, priority, count, batchSize, strategy, batchDelay: batchDelayMs, timeout: timeoutMs } = flags
  const given = { tags: tag, critical, priority, count, batchSize, strategy, batchDelayMs, timeoutMs }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(tasks.length === 0 ? {} : { tasks }),
    params,
  }
}

function kebabOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase()
}
