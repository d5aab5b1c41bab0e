import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import type { WarmerStatus } from '../../src/facade.ts'
import { createMetrics } from '../../src/metrics/prometheus.ts'
import type { PredictionStatus } from '../../src/predict/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeFacade } from '../fakes/facade.ts'

const NOTHING: PredictionStatus = { predictor: 'learned', windowMs: 900_000, foldedToMs: null, windows: 0, scores: [] }

describe('metrics of prediction', () => {
  it('are there once something was learned, and gone with it', async () => {
    const clock = new FakeClock()
    const status = (): WarmerStatus => new FakeFacade().status()
    let prediction = NOTHING
    const metrics = createMetrics({
      ...{ events: new EventLog({ clock }), status, tasks: () => [], clock },
      prediction: () => prediction,
    })
    const told = async () =>
      (await metrics.text()).text
        .split('\n')
        .filter((line) => line.startsWith('cache_prediction_'))
        .sort()
    assertEquals(await told(), [])
    const of = { toMs: 1_700_000_100_000, limit: 1000 }
    const scores = [
      { predictor: 'learned' as const, ...of, precision: 0.5, coverage: 0.75 },
      { predictor: 'recency' as const, ...of, precision: 0.25, coverage: 0 },
    ]
    prediction = { ...NOTHING, foldedToMs: of.toMs, windows: 2, scores }
    for (let times = 0; times < 2; times++)
      assertEquals(await told(), [
        'cache_prediction_coverage_ratio{predictor="learned"} 0.75',
        'cache_prediction_coverage_ratio{predictor="recency"} 0',
        'cache_prediction_learned_timestamp_seconds 1700000100',
        'cache_prediction_precision_ratio{predictor="learned"} 0.5',
        'cache_prediction_precision_ratio{predictor="recency"} 0.25',
      ])
    prediction = { ...prediction, scores: [] }
    assertEquals(await told(), ['cache_prediction_learned_timestamp_seconds 1700000100'])
    prediction = NOTHING
    assertEquals(await told(), [])
    assert((await metrics.text()).text.includes('# TYPE cache_prediction_coverage_ratio gauge'))
    metrics.close()
  })
})
