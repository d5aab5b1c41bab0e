import process from 'node:process'
import type { Command } from 'commander'
import { type Finding, type TaskVerdict, verify } from '../inspect/verify.ts'
import { addParams, addSelection, configuredCommand, requestOf, type SelectionFlags } from './command.ts'
import { type Cli, look, settle } from './context.ts'
import { EXIT } from './failure.ts'
import { readLastJob } from './state.ts'
import { requireRedis } from './stats.ts'
import { table } from './table.ts'
import { FLAG_BOUNDS, numberOf } from './values.ts'

interface VerifyFlags extends SelectionFlags {
  sample: number
  all?: boolean
}

const SAMPLE = 1000
const FINDINGS: readonly Finding[] = ['missing', 'different', 'expired', 'extra']

/** `prewarm verify` */
export function verifyCommand(cli: Cli): Command {
  const command = configuredCommand(
    'verify',
    'Read from the origin again and compare with Redis',
    'prewarm verify films --all',
  )
  addSelection(command, { withBounds: false })
    .option('--sample <N>', 'keys of each task to compare', numberOf('--sample', FLAG_BOUNDS.count), SAMPLE)
    .option('--all', 'compare every key, and look for keys that the origin does not list')
  return addParams(command, cli.tasks).action(async (names: string[], flags: VerifyFlags) => {
    const config = await settle(cli, flags)
    requireRedis(config)
    const lastJob = await readLastJob(cli.runtime, config.file ?? '')
    const sample = flags.all === true ? null : flags.sample
    const tasks = await look(cli, config, requestOf(names, flags), true, async ({ warmer, selected, signal }) => {
      const verdicts: TaskVerdict[] = []
      for (const one of selected) {
        verdicts.push(await verify(warmer, one, { sample, lastJob, nowMs: Date.now(), signal }))
      }
      return verdicts
    })
    await cli.io.answer(flags.json === true ? JSON.stringify({ tasks }) : verifyText(tasks))
    if (!tasks.every(isClean)) process.exitCode = EXIT.failed
  })
}

function isClean(verdict: TaskVerdict): boolean {
  return verdict.error === null && FINDINGS.every((finding) => verdict[finding] === 0)
}

function verifyText(tasks: readonly TaskVerdict[]): string {
  const rows = tasks.map((task) => [task.task, task.checked, task.same, ...FINDINGS.map((finding) => task[finding])])
  const details = tasks.flatMap(({ task, examples, reasons, error }) => [
    ...FINDINGS.flatMap((finding) =>
      examples[finding].map((key) => `${task}: ${finding}: ${key}${key in reasons ? `: ${reasons[key]}` : ''}`),
    ),
    ...(error === null ? [] : [`${task}: error: ${error.code}: ${error.message}`]),
  ])
  const verdict = tasks.every(isClean) ? 'no difference' : 'Redis and the origin differ'
  return [verdict, '', ...table(['task', 'checked', 'same', ...FINDINGS], rows), '', ...details].join('\n').trimEnd()
}
