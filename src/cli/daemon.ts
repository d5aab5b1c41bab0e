import type { Command } from 'commander'
import { redact } from '../errors.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { logsCommand, reloadCommand, statusCommand, stopCommand } from './daemon-control.ts'
import { execCommand, restartCommand, startCommand } from './daemon-start.ts'
import { unitCommand } from './daemon-unit.ts'

/** `prewarm daemon` */
export function daemonCommand(cli: Cli): Command {
  const command = new PrewarmCommand('daemon')
    .description('Run `prewarm serve` in the background')
    .addHelpText('after', '\nExample:\n  $ prewarm daemon start && prewarm daemon status')
  const commands = [startCommand, stopCommand, statusCommand, restartCommand, logsCommand, reloadCommand, unitCommand]
  for (const make of commands) command.addCommand(make(cli))
  command.addCommand(execCommand(cli), { hidden: true })
  for (const one of command.commands) {
    one.exitOverride().configureOutput({ outputError: (text) => cli.io.note(redact(text).trimEnd()) })
  }
  return command
}
