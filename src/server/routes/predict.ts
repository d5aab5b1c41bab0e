import { createRoute } from '@hono/zod-openapi'
import { hotKeys } from '../../inspect/predict.ts'
import { type Deps, guarded, json, permit, problems, router } from '../describe.ts'
import { patience } from '../patience.ts'
import { HotKeys } from '../schemas/answers.ts'
import { PredictQuery } from '../schemas/requests.ts'

const DEFAULT_LIMIT = 50

const predictRoute = createRoute({
  method: 'get',
  path: '/warm/predict',
  operationId: 'predictHotKeys',
  summary: 'The keys that are likely to be read soon, and why',
  description: 'Warms nothing. Also tells how predictions of the last window did.',
  tags: ['status'],
  request: { query: PredictQuery },
  responses: { 200: json(HotKeys, 'Hottest first'), ...guarded, ...problems(400) },
})

/** GET /warm/predict */
export function predictRoutes({ warmer, access }: Deps) {
  const middleware = [...permit(access, 'warm:read', 'other'), patience]
  return router().openapi({ ...predictRoute, middleware }, async (c) => {
    const { limit = DEFAULT_LIMIT, predictor } = c.req.valid('query')
    const hot = await hotKeys(warmer, { limit, predictor })
    const { windowMs: window_ms, learnedUntil: learned_until, scores, ...rest } = hot
    return c.json(
      {
        ...{ ...rest, window_ms, learned_until },
        scores: scores.map(({ limit: keys, ...score }) => ({ ...score, keys })),
      },
      200,
    )
  })
}
