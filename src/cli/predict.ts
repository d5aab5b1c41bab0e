import type { Command } from 'commander'
import { showMs } from '../config/duration.ts'
import type { Config } from '../config/load.ts'
import { PrewarmError } from '../errors.ts'
import { type HotKeys, hotKeys } from '../inspect/predict.ts'
import { PREDICTORS, type PredictorName } from '../predict/types.ts'
import { configuredCommand, type SharedFlags } from './command.ts'
import { type Cli, lookInRedis, settle } from './context.ts'
import { requireRedis } from './stats.ts'
import { NO_READS, percent, table } from './table.ts'
import { choiceOf, numberOf } from './values.ts'

interface PredictFlags extends SharedFlags {
  limit: number
  predictor?: PredictorName
}

const LIMIT = 20
const MAX_LIMIT = 10_000

/** `prewarm predict` */
export function predictCommand(cli: Cli): Command {
  return configuredCommand(
    'predict',
    'Show which keys are likely to be read soon, and why; warms nothing',
    'prewarm predict --limit 50',
  )
    .option('--limit <N>', 'at most this many keys, the hottest', numberOf('--limit', [1, MAX_LIMIT, true]), LIMIT)
    .option(
      '--predictor <NAME>',
      `${PREDICTORS.join(', ')} (default: prediction.predictor of the configuration)`,
      choiceOf('--predictor', PREDICTORS),
    )
    .action(async ({ limit, predictor, ...flags }: PredictFlags) => {
      const config = await settle(cli, flags)
      requireRedis(config)
      requireModel(config, predictor)
      const hot = await lookInRedis(cli, config, ({ warmer }) => hotKeys(warmer, { limit, predictor }))
      await cli.io.answer(flags.json === true ? JSON.stringify(hot) : hotText(hot))
    })
}

/** @throws {PrewarmError} `USAGE` */
function requireModel({ settings }: Config, predictor: PredictorName | undefined): void {
  if (predictor !== 'onnx' || settings.prediction.model !== undefined) return
  throw new PrewarmError('USAGE', "--predictor is 'onnx', and the configuration names no prediction.model: add it")
}

function hotText({ predictor, windowMs, learnedUntil, windows, keys, scores }: HotKeys): string {
  const learned =
    learnedUntil === null
      ? 'nothing is learned yet, as no window has ended: these are the reads so far'
      : `learned from ${windows} windows of ${showMs(windowMs)}, the last one until ${learnedUntil}`
  if (keys.length === 0) return NO_READS
  const rows = keys.map(({ key, score, task, reason }) => [key, shown(score), task, reason])
  return [
    `${predictor}: ${learned}`,
    '',
    ...table(['key', 'score', 'task', 'why'], rows),
    '',
    ...(scores.length === 0 ? ['how predictions do is known after the second window'] : scoreLines(scores)),
  ].join('\n')
}

/** How predictions of the last window did, by way of predicting. */
export function scoreLines(scores: HotKeys['scores']): string[] {
  const rows = scores.map((one) => [one.predictor, one.limit, percent(one.precision), percent(one.coverage)])
  return table(['last window', 'keys', 'of these read', 'of all reads'], rows)
}

/** Three digits. */
function shown(score: number): number {
  return Number(score.toPrecision(3))
}
