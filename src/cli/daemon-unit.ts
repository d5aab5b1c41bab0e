import { userInfo } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { checkName } from '../daemon/folder.ts'
import { systemdUnit } from '../daemon/unit.ts'
import { PrewarmError } from '../errors.ts'
import { configuredCommand } from './command.ts'
import { type Cli, settle } from './context.ts'
import { addName } from './daemon-control.ts'
import { addServeOptions, type ServeFlags } from './serve.ts'

interface UnitFlags extends ServeFlags {
  name: string
  user: string
}

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

/** `prewarm daemon unit` */
export function unitCommand(cli: Cli): Command {
  const command = configuredCommand(
    'unit',
    'Print a systemd service that runs `prewarm serve` with these arguments',
    'prewarm daemon unit --port 4000 | sudo tee /etc/systemd/system/prewarm.service',
  )
  addName(addServeOptions(command)).addOption(
    new Option('--user <USER>', 'who runs it, by name or number').default(whoIAm(), 'you'),
  )
  return command.action(async (flags: UnitFlags) => {
    const { name, user, json, port, host, workers, drain, logFormat, redis, database } = flags
    checkName(name)
    if (redis !== undefined || database !== undefined) {
      const message = `A unit is read by everybody: set REDIS_URL and DATABASE_URL in /etc/prewarm/${name}.env instead`
      throw new PrewarmError('USAGE', message)
    }
    const config = await settle(cli, flags)
    const given = { config: config.file, port, host, workers, drain, 'log-format': logFormat }
    const args = Object.entries(given).flatMap(([option, value]) =>
      value === undefined ? [] : [`--${option}`, String(value)],
    )
    const command = [...cli.runtime.command, MAIN]
    const unit = systemdUnit({ name, command, args, cwd: process.cwd(), user, drainMs: drain })
    await cli.io.answer(json === true ? JSON.stringify({ name, unit }) : unit)
  })
}

/** By number where the environment tells no name, which is where Bun takes it from. */
function whoIAm(): string {
  const { username, uid } = userInfo()
  return username === 'unknown' ? String(uid) : username
}
