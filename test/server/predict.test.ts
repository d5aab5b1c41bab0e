import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { send, setup } from './support.ts'

const LEARNED = Date.parse('2026-03-01T02:00:00.000Z')

describe('GET /warm/predict', () => {
  it('tells the hottest keys, why, and which task has them', async () => {
    const s = setup()
    s.warmer.hot = ['film:9', 'gone:1'].map((key, index) => ({ key, score: 9.5 - index, reason: 'read often' }))
    const scores = [{ predictor: 'learned' as const, toMs: LEARNED, limit: 1000, precision: 0.5, coverage: 0.75 }]
    s.warmer.predicted = { ...s.warmer.predicted, foldedToMs: LEARNED, windows: 7, scores }
    const { status, body } = await send(s, 'GET', '/warm/predict?limit=2')
    assertEquals(
      [status, body],
      [
        200,
        {
          predictor: 'learned',
          window_ms: 900_000,
          learned_until: '2026-03-01T02:00:00.000Z',
          windows: 7,
          keys: [
            { key: 'film:9', score: 9.5, reason: 'read often', task: 'films' },
            { key: 'gone:1', score: 8.5, reason: 'read often', task: null },
          ],
          scores: [{ predictor: 'learned', keys: 1000, precision: 0.5, coverage: 0.75 }],
        },
      ],
    )
    assertEquals(s.warmer.calls, [['predict', { limit: 2, windowMs: 900_000 }]])
    assertEquals([s.access.asked, s.warmer.submitted], [['needs warm:read', 'limits other'], []])
  })

  it('knows nothing before the first read, and asks for 50 keys where nothing else is said', async () => {
    const s = setup()
    const { status, body } = await send(s, 'GET', '/warm/predict')
    assertEquals([status, body.learned_until, body.keys, body.scores], [200, null, [], []])
    assertEquals(s.warmer.calls, [['predict', { limit: 50, windowMs: 900_000 }]])
  })

  it('uses the predictor that is asked for', async () => {
    const s = setup()
    const { body } = await send(s, 'GET', '/warm/predict?predictor=heuristic')
    assertEquals(body.predictor, 'heuristic')
    assertEquals(s.warmer.calls, [['predict', { limit: 50, windowMs: 900_000, predictor: 'heuristic' }]])
  })

  for (const query of ['limit=0', 'limit=10001', 'limit=1.5', 'limit=x', 'predictor=best', 'window=1h'])
    it(`refuses ${query}`, async () => {
      const s = setup()
      const { status, body } = await send(s, 'GET', `/warm/predict?${query}`)
      assertEquals([status, body.errors[0].field, s.warmer.calls], [400, query.split('=')[0], []])
    })

  it('answers 503 when Redis is away, and 400 for onnx without a model', async () => {
    const s = setup()
    s.warmer.failure = new PrewarmError('STORE_UNREACHABLE', 'No answer')
    assertEquals((await send(s, 'GET', '/warm/predict')).status, 503)
    s.warmer.failure = new PrewarmError('REQUEST_INVALID', "predictor is 'onnx'")
    assertEquals((await send(s, 'GET', '/warm/predict?predictor=onnx')).status, 400)
  })
})
