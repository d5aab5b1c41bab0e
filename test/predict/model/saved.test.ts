import { describe, it } from 'node:test'
import { assert, assertEquals, assertThrows } from '@std/assert'
import fc from 'fast-check'
import { PrewarmError } from '../../../src/errors.ts'
import { createModel, loadModel, type Model } from '../../../src/predict/model/index.ts'
import { WAYS } from '../../../src/predict/model/ways.ts'
import { check } from '../../support/property.ts'
import { streams, WINDOW_MS, windowOf } from './support.ts'

const OPTIONS = { windowMs: WINDOW_MS, capacity: 25, scoredKeys: 5 }

function folded(model: Model, stream: readonly Record<string, number>[], from = 0): Model {
  for (const [at, reads] of stream.entries()) model.fold(windowOf(from + at, reads))
  return model
}

const answers = (model: Model) => ({
  hot: WAYS.map((way) => model.top(way, { limit: 30 })),
  state: [model.windows, model.foldedToMs, model.keys, model.scores],
})

function refusal(text: string, options = OPTIONS): string {
  const error = assertThrows(() => loadModel(text, options), PrewarmError) as PrewarmError
  assertEquals(error.code, 'MODEL_INVALID')
  return error.message
}

describe('a saved model', () => {
  it('answers and learns as if it had never been away', () => {
    const property = fc.property(streams, streams, (before, after) => {
      const model = folded(createModel(OPTIONS), before)
      const loaded = loadModel(model.save(), OPTIONS)
      assertEquals(answers(loaded), answers(model))
      assertEquals(loaded.save(), model.save())
      folded(model, after, before.length)
      folded(loaded, after, before.length)
      assertEquals(answers(loaded), answers(model))
      assertEquals(loaded.save(), model.save())
    })
    check(property)
  })

  it('keeps the hottest in a smaller table', () => {
    const model = folded(createModel(OPTIONS), [
      { a: 1, b: 9, c: 5 },
      { b: 9, c: 5 },
    ])
    const small = loadModel(model.save(), { ...OPTIONS, capacity: 2 })
    assertEquals(
      small.top('frequency', { limit: 9 }).map(({ key }) => key),
      ['b', 'c'],
    )
    assertEquals(answers(loadModel(model.save(), { ...OPTIONS, capacity: 99 })), answers(model))
  })

  it('takes about a hundred characters for each key', () => {
    const reads = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`key:${at}`, at + 1]))
    const text = folded(createModel({ windowMs: WINDOW_MS }), [reads, reads]).save()
    assert(text.length / 1000 < 110, `${text.length / 1000} characters`)
  })

  it('is refused where it is broken, of another version, or of other windows', () => {
    const model = folded(createModel(OPTIONS), [{ a: 1, b: 9 }, { b: 2 }])
    const good = JSON.parse(model.save())
    const changed = (change: object) => JSON.stringify({ ...good, ...change })
    const end = '. Delete it to learn anew.'
    const begin = 'The saved model can not be used: '
    assertEquals(refusal('{'), `${begin}it is no JSON${end}`)
    assertEquals(refusal(model.save().slice(0, -9)), `${begin}it is no JSON${end}`)
    assert(refusal(changed({ format: 'prewarm-model/0' })).startsWith(`${begin}format: `))
    assert(refusal('null').startsWith(begin))
    assertEquals(
      refusal(model.save(), { ...OPTIONS, windowMs: 5000 }),
      `${begin}windowMs is ${WINDOW_MS}, and windows are 5000 ms long now${end}`,
    )
    assertEquals(refusal(changed({ keys: ['a', 'a'] })), `${begin}keys: a key is there twice${end}`)
    assertEquals(refusal(changed({ keys: ['a'] })), `${begin}columns.rate0: 8 bytes for 1 keys${end}`)
    const column = (total: string) => changed({ columns: { ...good.columns, total } })
    assertEquals(refusal(column('!')), `${begin}columns.total: is no base64${end}`)
    const broken = new Uint8Array(Float64Array.of(1, Number.NaN).buffer).toBase64()
    assertEquals(refusal(column(broken)), `${begin}columns.total: not all are numbers >= 0${end}`)
    assert(refusal(changed({ fit: { squares: [], products: [] } })).startsWith(`${begin}fit.squares: `))
    assert(refusal(changed({ more: 1 })).startsWith(begin))
  })
})
