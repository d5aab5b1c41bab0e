import type { JobResult } from '../index.ts'
import { type Estimate, estimate } from '../inspect/estimate.ts'
import { select } from '../inspect/select.ts'
import { type Stats, stats } from '../inspect/stats.ts'
import { carSchema, seedCars } from '../recipes/cars/index.ts'
import { seedSessions, sessionSchema } from '../recipes/sessions/index.ts'
import { DEMO_PREFIX, DEMO_SCHEMA } from './names.ts'
import { onStage, type Stage, type StageOptions, warmOnStage } from './stage.ts'

/** What `prewarm demo cars --json` and `prewarm demo sessions --json` print. */
export interface RecipeReport {
  recipe: RecipeName
  /** Made before anything was written. */
  estimate: Estimate
  job: JobResult
  /** What Redis holds afterwards, by looking. */
  stored: { keys: number; bytes: number; examples: string[] }
  stats: Stats
}

export interface RecipeOptions extends StageOptions {
  params: Readonly<Record<string, number>>
}

const RECIPES = {
  cars: {
    file: new URL('./cars.config.ts', import.meta.url),
    params: ['limit', 'days'],
    fills: '200 cars and a year of bookings',
    async fill({ sql }: Stage) {
      await sql.unsafe(carSchema(DEMO_SCHEMA))
      await seedCars(sql, { schema: DEMO_SCHEMA })
    },
  },
  sessions: {
    file: new URL('./sessions.config.ts', import.meta.url),
    params: ['limit'],
    fills: '2,000 users with two sessions each',
    async fill({ sql }: Stage) {
      await sql.unsafe(sessionSchema(DEMO_SCHEMA))
      await seedSessions(sql, { schema: DEMO_SCHEMA })
    },
  },
} as const

export type RecipeName = keyof typeof RECIPES
export const RECIPE_NAMES = Object.keys(RECIPES) as RecipeName[]

/** True if `recipe` has the parameter. */
export function recipeHas(recipe: RecipeName, param: string): boolean {
  return (RECIPES[recipe].params as readonly string[]).includes(param)
}

/**
 * Warms made-up data by a recipe, and looks at what came of it.
 *
 * @throws {PrewarmError} all that `onStage` throws
 */
export async function recipeDemo(recipe: RecipeName, options: RecipeOptions): Promise<RecipeReport> {
  const { file, fill, fills } = RECIPES[recipe]
  return onStage(file, options, async (stage) => {
    const { warmer, redis, signal, say } = stage
    say(`Origin: ${fills}, made up in Postgres`)
    await fill(stage)
    signal.throwIfAborted()
    await redis.removeAll(DEMO_PREFIX)
    const request = { params: { ...options.params } }
    const selected = select(warmer.config, request)
    const before = await estimate(warmer, selected, { count: undefined, withStore: true, signal })
    say(`Estimated: ${before.tasks.map((task) => `${task.task} ${task.keys ?? '?'} keys`).join(', ')}`)
    say('Warming')
    const job = await warmOnStage(stage, request)
    signal.throwIfAborted()
    return {
      recipe,
      estimate: before,
      job,
      stored: await lookAround(stage),
      stats: await stats(warmer, selected, signal),
    }
  })
}

async function lookAround({ warmer }: Stage): Promise<RecipeReport['stored']> {
  const found = new Set<string>()
  for await (const page of warmer.store.scan(`${DEMO_PREFIX}*`)) for (const key of page) found.add(key)
  const keys = [...found]
  const sizes = await warmer.store.bytesOf(keys)
  const ofEach = new Map(keys.sort().map((key) => [key.slice(DEMO_PREFIX.length).split(':')[0], key]))
  return { keys: keys.length, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0), examples: [...ofEach.values()] }
}
