import { z } from 'zod'
import { PrewarmError } from '../../errors.ts'
import { PREDICTORS, type PredictionScore } from '../types.ts'
import { LEVELS } from './choice.ts'
import { FEATURES } from './fit.ts'
import { COLUMNS, KeyTable } from './key-table.ts'
import { ARMS } from './ways.ts'

/** Raised with every change of what is saved, or of what it means. */
const FORMAT = 'prewarm-model/1'

/** Float32 and Float64 as the machine has them, in base64: the same numbers come back. */
const column = z.string().transform((text, context) => {
  try {
    return Uint8Array.fromBase64(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'is no base64' })
    return z.NEVER
  }
})
const numbers = (count: number) => z.array(z.number()).length(count)
const share = z.number().min(0).max(1)

const score = z.strictObject({
  predictor: z.enum(PREDICTORS),
  toMs: z.number(),
  limit: z.int().min(0),
  precision: share,
  coverage: share,
})

const state = z.strictObject({
  format: z.literal(FORMAT),
  windowMs: z.number().positive(),
  startMs: z.number(),
  foldedToMs: z.number().nullable(),
  windows: z.int().min(0),
  scores: z.array(score),
  fit: z.strictObject({ squares: numbers(FEATURES * FEATURES), products: numbers(FEATURES) }),
  choice: z.array(numbers(LEVELS.length)).length(ARMS),
  keys: z.array(z.string()),
  columns: z.strictObject(Object.fromEntries(COLUMNS.map((name) => [name, column]))),
})

type Plain = Pick<
  z.infer<typeof state>,
  'windowMs' | 'startMs' | 'foldedToMs' | 'windows' | 'scores' | 'fit' | 'choice'
>

export interface ModelState extends Plain {
  /** Puts what was saved into an empty table. */
  fill(table: KeyTable): void
}

/** About 90 characters for each key besides the key itself. */
export function saveState({
  table,
  ...plain
}: Omit<Plain, 'scores'> & { scores: readonly PredictionScore[]; table: KeyTable }): string {
  const bytesOf = (name: (typeof COLUMNS)[number]) => {
    const { buffer, byteOffset, byteLength } = table.column(name).subarray(0, table.size)
    return new Uint8Array(buffer, byteOffset, byteLength).toBase64()
  }
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, bytesOf(name)]))
  return JSON.stringify({ format: FORMAT, ...plain, keys: table.keys, columns })
}

/** @throws {PrewarmError} `MODEL_INVALID` */
export function loadState(text: string, windowMs: number): ModelState {
  const parsed = state.safeParse(jsonOf(text))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw invalid(`${issue?.path.join('.') || 'the whole'}: ${issue?.message}`)
  }
  const { keys, columns, ...plain } = parsed.data
  if (plain.windowMs !== windowMs)
    throw invalid(`windowMs is ${plain.windowMs}, and windows are ${windowMs} ms long now`)
  if (new Set(keys).size < keys.length) throw invalid('keys: a key is there twice')
  const lists = new KeyTable(Math.max(1, keys.length))
  lists.restore(keys)
  for (const name of COLUMNS) {
    const bytes = columns[name] as Uint8Array<ArrayBuffer>
    const list = lists.column(name)
    if (bytes.length !== keys.length * list.BYTES_PER_ELEMENT)
      throw invalid(`columns.${name}: ${bytes.length} bytes for ${keys.length} keys`)
    new Uint8Array(list.buffer).set(bytes)
    if (list.some((value) => !Number.isFinite(value) || (value < 0 && !name.endsWith('Ms'))))
      throw invalid(`columns.${name}: not all are numbers >= 0`)
  }
  return { ...plain, fill: (table) => table.take(lists) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('it is no JSON')
  }
}

function invalid(why: string): PrewarmError {
  return new PrewarmError('MODEL_INVALID', `The saved model can not be used: ${why}. Delete it to learn anew.`)
}
