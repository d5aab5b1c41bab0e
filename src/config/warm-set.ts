import type { PredictorName } from '../predict/types.ts'
import type { Duration } from './duration.ts'
import { parseDuration } from './duration.ts'

/** How it is predicted which keys will be hot. */
export interface PredictionDefinition {
  /** `learned` fits itself to what was read; the others are fixed rules, `onnx` a model of yours. @default 'learned' */
  predictor?: PredictorName
  /**
   * What was read is summed up by windows of this length, and the next one is predicted. 1m to 1d,
   * rounded up to whole five minutes. @default '15m'
   */
  window?: Duration
  /** Keys that are remembered; of more, those that were read least are forgotten. 100 to 1_000_000. @default 50_000 */
  keys?: number
  /** For `onnx`: the model's file. */
  model?: string
}

/** What protects the keys that Redis holds already. */
export interface MemoryDefinition {
  /** A run leaves out what Redis has no room for, unless it is hotter than what would go. @default true */
  guard?: boolean
  /** Share of `maxmemory` that warming leaves free. 0 to 0.9. @default 0.05 */
  reserve?: number
}

/** The list of hot keys that survives what the cache does not. */
export interface SnapshotDefinition {
  /** A file (`.gz` is packed), or `redis:NAME` for a key in Redis. */
  to: string
  /** How often a service saves it; it also does at its end. At least 1s. @default '5m' */
  every?: Duration
  /** At most this many keys, the hottest. 1 to 1_000_000. @default 10_000 */
  keys?: number
  /** A service warms it at its start. @default false */
  load?: boolean
  /** Bound on that. @default '2m' */
  timeout?: Duration
}

/** What a configuration says of what to warm. */
export interface WarmSetDefinition {
  prediction?: PredictionDefinition
  memory?: MemoryDefinition
  snapshot?: SnapshotDefinition
}

/** The same with every default filled in. Times in ms. */
export interface WarmSetSettings {
  prediction: { predictor: PredictorName; windowMs: number; keys: number; model: string | undefined }
  memory: { guard: boolean; reserve: number }
  /** Absent: none is saved. */
  snapshot: { to: string; everyMs: number; keys: number; load: boolean; timeoutMs: number } | undefined
}

export function settleWarmSet({ prediction = {}, memory = {}, snapshot }: WarmSetDefinition): WarmSetSettings {
  return {
    prediction: {
      predictor: prediction.predictor ?? 'learned',
      windowMs: ms(prediction.window) ?? 900_000,
      keys: prediction.keys ?? 50_000,
      model: prediction.model,
    },
    memory: { guard: memory.guard ?? true, reserve: memory.reserve ?? 0.05 },
    snapshot:
      snapshot === undefined
        ? undefined
        : {
            to: snapshot.to,
            everyMs: ms(snapshot.every) ?? 300_000,
            keys: snapshot.keys ?? 10_000,
            load: snapshot.load ?? false,
            timeoutMs: ms(snapshot.timeout) ?? 120_000,
          },
  }
}

function ms(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : (parseDuration(value) as number)
}
