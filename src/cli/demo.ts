import { Argument, type Command } from 'commander'
import { citiesDemo } from '../demo/cities.ts'
import { citiesText, recipeText } from '../demo/print.ts'
import { RECIPE_NAMES, type RecipeName, recipeDemo, recipeHas } from '../demo/recipes.ts'
import type { StageOptions } from '../demo/stage.ts'
import { PrewarmError } from '../errors.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { exitCodeOf } from './failure.ts'
import { watchInterrupts } from './interrupt.ts'
import { processIo } from './io.ts'
import { FLAG_BOUNDS, numberOf, urlOf } from './values.ts'

interface Flags {
  redis?: string
  database?: string
  limit?: number
  days?: number
  cities?: number
  requests?: number
  json?: boolean
}

/** What a demo ends with: its answer, and the status of the job that it ran. */
type Ending = [answer: string, exitCode: number]

/** `prewarm demo [cars|sessions]` */
export function demoCommand({ io }: Pick<Cli, 'io'> = { io: processIo() }): Command {
  const command = new PrewarmCommand('demo')
  return command
    .description('Show warming on real data (135,000 cities), or a recipe on made-up data; leaves nothing behind')
    .addArgument(new Argument('[recipe]', 'run this recipe instead').choices(RECIPE_NAMES))
    .option(
      '--redis <URL>',
      "Redis to use, else REDIS_URL, else embedded; the demo's keys begin with prewarm-demo:",
      urlOf('--redis', 'redis://', 'rediss://'),
    )
    .option(
      '--database <URL>',
      'Postgres to use, else DATABASE_URL, else embedded; the demo has a schema of its own, prewarm_demo',
      urlOf('--database', 'postgres://', 'postgresql://'),
    )
    .option('--limit <N>', 'cars, sessions: how many to warm', numberOf('--limit', FLAG_BOUNDS.count))
    .option('--days <N>', 'cars: days of availability', numberOf('--days', FLAG_BOUNDS.count))
    .option(
      '--cities <N>',
      'cities to warm, the largest first (default: 20000)',
      numberOf('--cities', FLAG_BOUNDS.count),
    )
    .option('--requests <N>', 'requests to play, twice (default: 20000)', numberOf('--requests', [1, 10_000_000, true]))
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm demo cars --limit 20 --days 14')
    .action(async (recipe: RecipeName | undefined, flags: Flags) => {
      checkFlags(recipe, flags)
      const signal = watchInterrupts()
      signal.addEventListener('abort', () => io.note('Interrupted: cleaning up'), { once: true })
      const stage = { redis: flags.redis, database: flags.database, signal, say: io.note }
      try {
        const [answer, exitCode] = await (recipe === undefined
          ? playCities(stage, flags)
          : playRecipe(recipe, stage, flags))
        await io.answer(answer)
        process.exitCode = exitCode
      } catch (error) {
        throw signal.aborted ? new PrewarmError('JOB_CANCELLED', 'interrupted', { cause: error }) : error
      }
    })
}

async function playCities(stage: StageOptions, { cities = 20_000, requests = 20_000, json }: Flags): Promise<Ending> {
  const { report, job } = await citiesDemo({ ...stage, cities, requests })
  return [json ? JSON.stringify(report) : citiesText(report, job), exitCodeOf(job.status)]
}

async function playRecipe(recipe: RecipeName, stage: StageOptions, { limit, days, json }: Flags): Promise<Ending> {
  const params = { ...(limit === undefined ? {} : { limit }), ...(days === undefined ? {} : { days }) }
  const report = await recipeDemo(recipe, { ...stage, params })
  return [json ? JSON.stringify(report) : recipeText(report), exitCodeOf(report.job.status)]
}

/** @throws {PrewarmError} `USAGE` for an option that this demo does not have */
function checkFlags(recipe: RecipeName | undefined, flags: Flags): void {
  for (const name of ['limit', 'days', 'cities', 'requests'] as const) {
    const fits = recipe === undefined ? name === 'cities' || name === 'requests' : recipeHas(recipe, name)
    if (flags[name] === undefined || fits) continue
    const demo = recipe === undefined ? 'prewarm demo' : `prewarm demo ${recipe}`
    throw new PrewarmError('USAGE', `--${name} means nothing to '${demo}'`)
  }
}
