import type { HotKey } from '../coordination/types.ts'
import { FEATURES, type KeyHistory, writeFeatures } from './onnx-features.ts'
import type { OutsideModel } from './types.ts'

/** Keys that are scored at once: this bounds the memory that a model needs for what lies between its layers. */
const AT_ONCE = 8192

/**
 * The keys that an outside model holds for the hottest, hottest first; equals by key. At most `limit`.
 *
 * @param candidates each key once. A history is read at once, so that one object may serve for all
 * @throws {PrewarmError} `MODEL_INVALID` if the model fails, or gives a score that is no finite number
 */
export async function rankOutside(
  model: OutsideModel,
  candidates: Iterable<readonly [key: string, history: KeyHistory]>,
  limit: number,
): Promise<HotKey[]> {
  const ranking = new Ranking(limit)
  const features = new Float32Array(AT_ONCE * FEATURES.length)
  let keys: string[] = []
  const score = async (): Promise<void> => {
    const scores = await model.predict(features.subarray(0, keys.length * FEATURES.length), keys.length)
    for (const [row, key] of keys.entries()) ranking.add(key, scores[row] as number, features, row)
    keys = []
  }
  for (const [key, history] of candidates) {
    writeFeatures(features, keys.length, history)
    keys.push(key)
    if (keys.length === AT_ONCE) await score()
  }
  if (keys.length > 0) await score()
  return ranking.hottest()
}

interface Ranked {
  key: string
  score: number
  lastWindow: number
  idleWindows: number
}

/** The best of what was added, in bounded memory. */
class Ranking {
  readonly #limit: number
  #ranked: Ranked[] = []

  constructor(limit: number) {
    this.#limit = Math.max(0, Math.floor(limit))
  }

  add(key: string, score: number, features: Float32Array, row: number): void {
    const of = (name: (typeof FEATURES)[number]) => features[row * FEATURES.length + FEATURES.indexOf(name)] as number
    this.#ranked.push({ key, score, lastWindow: of('last_window'), idleWindows: of('idle_windows') })
    if (this.#ranked.length >= 2 * this.#limit + AT_ONCE) this.#cut()
  }

  hottest(): HotKey[] {
    this.#cut()
    return this.#ranked.map(({ key, score, lastWindow, idleWindows }) => ({
      key,
      score,
      reason: `the model's score ${short(score)}, ${short(lastWindow)} reads in the last window, last read ${short(idleWindows)} windows before its end`,
    }))
  }

  #cut(): void {
    this.#ranked.sort((one, other) => other.score - one.score || (one.key < other.key ? -1 : 1))
    if (this.#ranked.length > this.#limit) this.#ranked.length = this.#limit
  }
}

/** Three digits. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)))
}
