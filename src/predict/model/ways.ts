import type { PredictorName } from '../types.ts'
import type { Choice } from './choice.ts'
import { FIT_COUNT, type Fits } from './fit.ts'
import { HALF_LIVES } from './key-table.ts'
import { type KeyReads, referenceScore } from './reference.ts'
import type { View } from './view.ts'
import { shortChange, shortNumber, shortTime } from './words.ts'

export type ModelPredictor = Exclude<PredictorName, 'onnx'>
/** Those that a model knows, the best first. */
export const WAYS = ['learned', 'decayed', 'heuristic', 'frequency', 'recency'] as const

/**
 * What `learned` and `decayed` choose from, by number: each half-life by itself, by its place in {@linkcode HALF_LIVES}, then
 * the fits.
 */
export const ARMS = HALF_LIVES.length + FIT_COUNT
const FIT = HALF_LIVES.length
const SINGLES = HALF_LIVES.map((_, at) => at)
const FITS_FIRST = [...Array.from({ length: FIT_COUNT }, (_, at) => FIT + at), ...SINGLES]
/** The half-life that serves as long as nothing was learned: 2 windows. */
const FIRST = 1
/** What another way must have covered more than the usual fit to be preferred to it: less is mostly luck. */
const MARGIN = 0.03

/** What was learned from past windows. */
export interface Learned {
  fits: Fits
  choice: Choice
  bonusMs: readonly [number, number]
}

/** One way of scoring a view's keys. */
export interface Scoring {
  /** By place; at most 0: not predicted. */
  scores: Float64Array
  /** What a key's score came from, in words. */
  reason(place: number): string
}

export function scoringOf(predictor: ModelPredictor, view: View, learned: Learned, limit: number): Scoring {
  switch (predictor) {
    case 'recency':
      return byRecency(view)
    case 'frequency':
      return byFrequency(view)
    case 'heuristic':
      return byReference(view, learned.bonusMs)
    default:
      return byArm(armOf(predictor, learned, limit), view, learned.fits)
  }
}

/** What is chosen for about `limit` keys. */
export function armOf(predictor: 'learned' | 'decayed', { fits, choice }: Learned, limit: number): number {
  if (fits.isEmpty) return FIRST
  return predictor === 'decayed' ? choice.best(limit, SINGLES) : choice.best(limit, FITS_FIRST, MARGIN)
}

/** By place. Before the first fit the usual half-life stands in for it. */
export function scoresOf(arm: number, view: View, fits: Fits): Float64Array {
  if (arm >= FIT && !fits.isEmpty) return fits.score(view, arm - FIT)
  return Float64Array.from((view.rates[arm >= FIT ? FIRST : arm] as Float32Array).subarray(0, view.size))
}

function byArm(arm: number, view: View, fits: Fits): Scoring {
  const scores = scoresOf(arm, view, fits)
  const lastOf = (place: number) => `${shortNumber(view.recent[place] as number)} in the last window`
  if (arm >= FIT) {
    const weights = fits.weights(arm - FIT)
    const shares = HALF_LIVES.map((_, at) =>
      shortNumber((weights[at] as number) + (weights[HALF_LIVES.length + at] as number)),
    )
    const of = `(${shares.join('/')} of its rates)`
    return {
      scores,
      reason: (place) => `fit: ${shortNumber(scores[place] as number)} expected a window ${of}, ${lastOf(place)}`,
    }
  }
  const halfLife = HALF_LIVES[arm] as number
  const name = `half-life ${halfLife} window${halfLife === 1 ? '' : 's'}`
  return {
    scores,
    reason: (place) => `${name}: ${shortNumber(scores[place] as number)} a window, ${lastOf(place)}`,
  }
}

function byRecency({ size, lastMs, nowMs }: View): Scoring {
  let first = nowMs
  for (let place = 0; place < size; place++) first = Math.min(first, lastMs[place] as number)
  return {
    scores: Float64Array.from({ length: size }, (_, place) => (lastMs[place] as number) - first + 1),
    reason: (place) => `last read ${shortTime(nowMs - (lastMs[place] as number))} ago`,
  }
}

function byFrequency({ size, total, elapsedMs }: View): Scoring {
  return {
    scores: total.slice(0, size),
    reason: (place) => `${shortNumber(total[place] as number)} reads in ${shortTime(elapsedMs)}`,
  }
}

function byReference(view: View, bonusMs: readonly [number, number]): Scoring {
  const { size, elapsedMs, windowMs } = view
  const readsOf = (place: number): KeyReads => ({
    total: view.total[place] as number,
    recent: view.recent[place] as number,
    ageMs: view.nowMs - (view.lastMs[place] as number),
  })
  const of = (place: number) => referenceScore(readsOf(place), { elapsedMs, windowMs, bonusMs })
  return {
    scores: Float64Array.from({ length: size }, (_, place) => of(place).score),
    reason(place) {
      const { frequency, growth } = of(place)
      const { total, recent, ageMs } = readsOf(place)
      const change = total > recent ? `growth ${shortChange(growth)}` : 'no history'
      return `${shortNumber(frequency)} reads/h, ${change}, last read ${shortTime(ageMs)} ago`
    },
  }
}
