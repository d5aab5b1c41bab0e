import process from 'node:process'
import type { Command } from 'commander'
import { type Estimate, estimate } from '../inspect/estimate.ts'
import { addParams, addSelection, configuredCommand, requestOf, type SelectionFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { EXIT } from './failure.ts'
import type { Colour, Io } from './io.ts'
import { showBytes, table } from './table.ts'

/** `prewarm estimate` */
export function estimateCommand(cli: Cli): Command {
  const command = configuredCommand(
    'estimate',
    'Tell how many keys and bytes a run would write, and whether Redis has room',
    'prewarm estimate --tag catalog',
  )
  addSelection(command, { withBounds: true })
  return addParams(command, cli.tasks).action(async (tasks: string[], flags: SelectionFlags) => {
    const config = await settle(cli, flags)
    const request = requestOf(tasks, flags)
    const result = await look(cli, config, request, true, ({ warmer, selected, withStore, signal }) =>
      estimate(warmer, selected, { count: request.count, withStore, signal }),
    )
    await cli.io.answer(flags.json === true ? JSON.stringify(result) : estimateText(result, cli.io.paint))
    const isBad = result.verdict === 'does not fit' || result.tasks.some((task) => task.error !== null)
    if (isBad) process.exitCode = EXIT.failed
  })
}

const COLOURS: Record<Estimate['verdict'], Colour> = { fits: 'green', 'does not fit': 'red', 'no bound': 'yellow' }

function estimateText(result: Estimate, paint: Io['paint']): string {
  const { verdict, keys, bytes, growthBytes, usedMemoryBytes, maxMemoryBytes, evictionPolicy, tasks } = result
  const rows = tasks.map((task) => [task.task, task.keys, task.bytesPerKey, showBytes(task.bytes)])
  const bound = maxMemoryBytes === 0 ? 'none' : showBytes(maxMemoryBytes)
  const redis =
    usedMemoryBytes === null
      ? 'none configured'
      : `uses ${showBytes(usedMemoryBytes)}, maxmemory ${bound}, policy ${evictionPolicy}`
  return [
    `${paint(COLOURS[verdict], verdict)}: ${keys} keys, ${showBytes(bytes)}; Redis would grow by ${showBytes(growthBytes)}`,
    '',
    ...table(['task', 'keys', 'bytes per key', 'total'], rows),
    '',
    `redis  ${redis}`,
    ...tasks.flatMap(({ task, error }) => (error === null ? [] : [`error  ${task}: ${error.code}: ${error.message}`])),
  ].join('\n')
}
