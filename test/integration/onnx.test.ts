import { rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { createWarmer, PrewarmError } from '../../src/index.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { BUCKET_MS } from '../../src/predict/buckets.ts'
import { FakeClock } from '../fakes/clock.ts'
import { clock } from '../support/coordination.ts'
import { linearModel } from '../support/onnx.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { configFile, withWarmer } from '../support/warming.ts'

const TIMEOUT = { timeout: 60_000 }
/** Reads in each of two windows. */
const READS = { hot: 40, warm: 8, cool: 3, cold: 1 }
/** The coldest first, which no other predictor says: 100 less the mean. */
const COLDEST_FIRST = linearModel({ weights: [0, 0, 0, 0, 0, -1, 0, 0], bias: 100 })
const CONFIG = `prediction: { predictor: 'onnx', model: './model.onnx', window: '5m' }, tasks: {
  all: load({ key: 'k:{id}', select: () => [], load: () => [] }) }`

describe('a model from outside', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedisServer()
    const commands = new RedisCommands({ url: server.url, clock })
    const [first, second] = [4, 3].map((ago) => (Math.floor(Date.now() / BUCKET_MS) - ago) * BUCKET_MS + 1000)
    for (const nowMs of [first, second]) {
      const log = new AccessLog({ commands, clock: new FakeClock(nowMs) })
      for (const [name, count] of Object.entries(READS)) for (let at = 0; at < count; at++) log.record(`k:${name}`)
      await log.flush()
    }
    await commands.close()
  }, TIMEOUT)
  after(() => server.stop(), TIMEOUT)

  /** A configuration with this model beside it. */
  const withModel = (bytes: Uint8Array | null) => {
    const file = configFile(CONFIG)
    const model = join(dirname(file), 'model.onnx')
    if (bytes !== null) writeFileSync(model, bytes)
    return { options: { file, workers: 0, redisUrl: server.url }, model }
  }

  it('says what will be hot, by what all processes have read', TIMEOUT, async () => {
    const { options } = withModel(COLDEST_FIRST)
    await withWarmer(options, async (warmer) => {
      const hot = await warmer.predict({ limit: 3, windowMs: BUCKET_MS })
      assertEquals(
        hot.map(({ key }) => key),
        ['k:cold', 'k:cool', 'k:warm'],
      )
      // The mean is of all windows since the first read, of which more have passed with each five minutes.
      for (const [at, reads] of [READS.cold, READS.cool, READS.warm].entries()) {
        const score = hot[at]?.score as number
        assert(score >= 100 - reads && score < 100, `${hot[at]?.key}: ${score}`)
      }
      assert(hot.every(({ reason }) => reason.startsWith("the model's score ")))
      const other = await warmer.predict({ limit: 1, windowMs: BUCKET_MS, predictor: 'frequency' })
      assertEquals(other[0]?.key, 'k:hot')
    })
  })

  it('that can not be used is refused where it is asked, and at the start of a service', TIMEOUT, async () => {
    const { options, model } = withModel(linearModel({ weights: [1, 2, 3] }))
    const refused = async (work: () => Promise<unknown>, text: string) => {
      const error = await assertRejects(work, PrewarmError)
      assertEquals(error.code, 'MODEL_INVALID')
      assert(error.message.startsWith(`the model ${model} `) && error.message.includes(text), error.message)
    }
    await withWarmer(options, async (warmer) => {
      const predict = () => warmer.predict({ limit: 3, windowMs: BUCKET_MS })
      await refused(predict, 'takes features: float32 [rows, 3]: expected one input, features: float32 [rows, 8]')
      writeFileSync(model, 'no model')
      await refused(predict, "can't be run by onnxruntime-web")
      rmSync(model)
      await refused(predict, "can't be read")
      // Once it is mended, nothing needs a restart.
      writeFileSync(model, COLDEST_FIRST)
      assertEquals((await predict()).length, 3)
    })
    rmSync(model)
    const service = await createWarmer({ env: {}, ...options, service: true })
    await refused(() => service.start(), "can't be read").finally(() => service.stop())
  })
})
