import { readFileSync } from 'node:fs'
import process from 'node:process'
import type { Command } from 'commander'
import { settleConfig } from '../compose.ts'
import type { Config } from '../config/load.ts'
import { redact } from '../errors.ts'
import { strategyNames } from '../job/strategy/register.ts'
import { currentRuntime } from '../runtime/index.ts'
import type { Runtime } from '../runtime/types.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { demoCommand } from './demo.ts'
import { estimateCommand } from './estimate.ts'
import { EXIT, tell } from './failure.ts'
import { initCommand } from './init.ts'
import { type Io, processIo } from './io.ts'
import { optimizeCommand } from './optimize.ts'
import { planCommand } from './plan.ts'
import { predictCommand } from './predict.ts'
import { runCommand } from './run.ts'
import { statsCommand } from './stats.ts'
import { verifyCommand } from './verify.ts'

/** Commands whose flags depend on the configuration. */
const CONFIGURED = ['run', 'plan', 'estimate', 'stats', 'verify', 'optimize']

const ABOUT = `Fills a Redis cache before users ask: in priority order, without overloading the origin, pushing out hotter keys, or replacing newer values.`
const AFTER = `
Example:
  $ prewarm run --critical

Exit codes: 0 success, 1 partial or failed, 2 usage or configuration, 3 a server can't be reached, 130 interrupted.`

/** Runs one command line. Never rejects; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const io = processIo()
  const json = beforeDashes(argv).includes('--json')
  // Functions of the user's may log: with --json nothing but the answer goes to stdout.
  for (const name of ['log', 'info', 'debug'] as const) console[name] = console.error
  try {
    const runtime = currentRuntime()
    const config = await readConfig(argv, runtime)
    const strategies = strategyNames(config?.definition.strategies)
    const cli: Cli = { io, runtime, argv, tasks: config?.tasks, strategies }
    await (await program(cli)).parseAsync([...argv], { from: 'user' })
    return Number(process.exitCode ?? EXIT.ok)
  } catch (error) {
    return tell(error, io, json)
  }
}

async function program(cli: Cli): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const root = new PrewarmCommand('prewarm')
    .description(ABOUT)
    .version(version, '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', AFTER)
  const commands = [
    initCommand(cli),
    planCommand(cli),
    runCommand(cli),
    estimateCommand(cli),
    statsCommand(cli),
    predictCommand(cli),
    verifyCommand(cli),
    optimizeCommand(cli),
    demoCommand(),
    ...(await serviceCommands(cli)),
  ]
  for (const command of commands) root.addCommand(command)
  for (const command of [root, ...commands, ...commands.flatMap((one) => one.commands)]) speakThrough(command, cli.io)
  return root
}

/** What a service needs is loaded only where it may be asked for: a run should not wait for a web framework. */
async function serviceCommands(cli: Cli): Promise<Command[]> {
  if (CONFIGURED.includes(cli.argv[0] ?? '')) return []
  const commands = await Promise.all([
    import('./serve.ts').then((one) => one.serveCommand),
    import('./daemon.ts').then((one) => one.daemonCommand),
    import('./token.ts').then((one) => one.tokenCommand),
    import('./monitoring.ts').then((one) => one.monitoringCommand),
    import('./learn.ts').then((one) => one.learnCommand),
    import('./snapshot.ts').then((one) => one.snapshotCommand),
    import('./copy.ts').then((one) => one.copyCommand),
  ])
  return commands.map((command) => command(cli))
}

/** Errors are thrown rather than exits, and no flag's value is repeated in them. */
function speakThrough(command: Command, io: Io): void {
  command.exitOverride()
  command.configureOutput({ outputError: (text) => io.note(redact(text).trimEnd()) })
  command.showHelpAfterError(false)
}

/** The configuration that the arguments name, for its parameters' flags and its strategies. */
async function readConfig(argv: readonly string[], runtime: Runtime): Promise<Config | undefined> {
  const command = argv[0] === 'help' ? argv[1] : argv.find((arg) => !arg.startsWith('-'))
  if (!CONFIGURED.includes(command ?? '')) return undefined
  const file = configFlag(argv)
  const flags = beforeDashes(argv)
  const isHelp = argv[0] === 'help' || flags.includes('--help') || flags.includes('-h')
  try {
    return await settleConfig(file === undefined ? {} : { file }, runtime)
  } catch (error) {
    if (isHelp) return undefined
    throw error
  }
}

function configFlag(argv: readonly string[]): string | undefined {
  const flags = beforeDashes(argv)
  const at = flags.lastIndexOf('--config')
  const joined = flags.findLast((arg) => arg.startsWith('--config='))
  return joined?.slice('--config='.length) ?? (at === -1 ? undefined : flags[at + 1])
}

function beforeDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}
