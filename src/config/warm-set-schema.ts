import { z } from 'zod'
import { PREDICTORS } from '../predict/types.ts'
import { BOUNDS, duration, flag, number, oneOf, text } from './fields.ts'

const prediction = z
  .strictObject(
    {
      predictor: oneOf(...PREDICTORS).optional(),
      window: duration([60_000, 86_400_000, false]).optional(),
      keys: number([100, 1_000_000, true]).optional(),
      model: text.optional(),
    },
    'expected { predictor, window, keys, model }',
  )
  .refine(({ predictor, model }) => predictor !== 'onnx' || model !== undefined, {
    path: ['model'],
    message: "expected the model's file, because predictor is 'onnx'",
  })

const memory = z.strictObject(
  { guard: flag.optional(), reserve: number([0, 0.9, false]).optional() },
  'expected { guard, reserve }',
)

const target = z.custom<string>(
  (given) =>
    typeof given === 'string' && (given.startsWith('redis:') ? /^redis:[\w.-]{1,64}$/.test(given) : given !== ''),
  "expected a file, or 'redis:NAME' with a name of letters, digits, '.', '-' and '_'",
)

const snapshot = z.strictObject(
  {
    to: target,
    every: duration([1000, 86_400_000, false]).optional(),
    keys: number(BOUNDS.count).optional(),
    load: flag.optional(),
    timeout: duration(BOUNDS.timeoutMs).optional(),
  },
  'expected { to, every, keys, load, timeout }',
)

/** The fields that say what to warm. */
export const warmSetShape = {
  prediction: prediction.optional(),
  memory: memory.optional(),
  snapshot: snapshot.optional(),
}

/** The fields that this part of the configuration may have at `top`; null: it is no such part. */
export function warmSetFieldsAt(top: string | undefined): string[] | null {
  if (top === 'prediction') return Object.keys(prediction.shape)
  if (top === 'memory') return Object.keys(memory.shape)
  return top === 'snapshot' ? Object.keys(snapshot.shape) : null
}
