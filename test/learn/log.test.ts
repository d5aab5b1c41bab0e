import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects, assertStringIncludes } from '@std/assert'
import { PrewarmError } from '../../src/errors.ts'
import { type LearnLogOptions, learnFromLog } from '../../src/learn/log.ts'
import type { ModelHome } from '../../src/learn/model-home.ts'
import { pathMap } from '../../src/learn/path-map.ts'
import { AT_LEAST_READS } from '../../src/predict/buckets.ts'
import { createModel, loadModel } from '../../src/predict/model/index.ts'
import type { PredictionModel } from '../../src/predict/types.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeCommands } from '../fakes/commands.ts'

const WINDOW = 900_000
/** The beginning of a window, an hour before now. */
const START = Math.floor(1_700_000_000_000 / WINDOW) * WINDOW - 4 * WINDOW

/** Keeps one model in memory, as text. */
class MemoryHome implements ModelHome {
  readonly windowMs = WINDOW
  readonly capacity = 1000
  kept: { id: string; text: string } | null = null
  saves = 0
  create = () => createModel({ windowMs: WINDOW, capacity: 1000 })
  async load() {
    return this.kept === null ? null : { id: this.kept.id, model: loadModel(this.kept.text, this) }
  }
  async save(model: PredictionModel, replaced: string | null) {
    if (this.kept !== null && replaced !== this.kept.id) return false
    this.kept = { id: `${++this.saves}`, text: model.save() }
    return true
  }
  get model() {
    return loadModel(this.kept?.text ?? '', this)
  }
}

function stage() {
  const home = new MemoryHome()
  const commands = new FakeCommands().onScript(AT_LEAST_READS, () => 1)
  const clock = new FakeClock()
  const learn = (files: Record<string, string>, more: Partial<LearnLogOptions> = {}) =>
    learnFromLog({
      sources: Object.entries(files).map(([name, text]) => ({ name, chunks: chunksOf(text) })),
      ...{ home, commands, clock, replace: false, dryRun: false, signal: new AbortController().signal },
      ...more,
    })
  return { home, commands, clock, learn }
}

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text)
}

const line = (key: string, atMs: number, more: object = {}) => `${JSON.stringify({ key, ts_ms: atMs, ...more })}\n`
const refuses = async (work: Promise<unknown>, code: string, ...texts: string[]) => {
  const error = await assertRejects(() => work, PrewarmError)
  assertEquals(error.code, code)
  for (const text of texts) assertStringIncludes(error.message, text)
}

describe('learnFromLog', () => {
  it('folds each window into the model, and keeps the reads of the last 25 hours', async () => {
    const { home, commands, learn } = stage()
    const text =
      line('a', START, { count: 3 }) +
      line('b', START + 1000) +
      line('a', START + WINDOW) +
      line('c', START + 3 * WINDOW)
    const told = await learn({ 'a.log': text })
    assertEquals([told.lines, told.reads, told.windows, told.knownWindows, told.bad], [4, 6, 3, 0, 0])
    assertEquals(told.top[0], { key: 'a', reads: 4, lastReadAt: new Date(START + WINDOW).toISOString() })
    assertEquals(
      [told.from, told.to],
      [START, START + 3 * WINDOW].map((ms) => new Date(ms).toISOString()),
    )
    assertEquals(told.foldedTo, new Date(START + 4 * WINDOW).toISOString())
    const { model } = home
    assertEquals([model.foldedToMs, model.windows], [START + 4 * WINDOW, 4])
    assertEquals(
      model.top('recency', { limit: 2 }).map(({ key }) => key),
      ['c', 'a'],
    )
    assertEquals(told.kept, 4)
    assertEquals(
      commands.calls.map(([, bucket, , , , ...reads]) => [bucket, ...reads]),
      [
        [`prewarm:access:${START / 300_000}`, 'a', '3', String(START), 'b', '1', String(START + 1000)],
        [`prewarm:access:${(START + WINDOW) / 300_000}`, 'a', '1', String(START + WINDOW)],
        [`prewarm:access:${(START + 3 * WINDOW) / 300_000}`, 'c', '1', String(START + 3 * WINDOW)],
      ],
    )
  })

  it('leaves a window that has not ended to whoever runs then, and old reads out of the access log', async () => {
    const { home, commands, clock, learn } = stage()
    const old = START - 40 * 3_600_000
    const told = await learn({ 'a.log': line('a', old) + line('b', clock.nowMs()) })
    assertEquals([told.windows, told.kept, home.model.foldedToMs], [1, 1, old - (old % WINDOW) + WINDOW])
    assertEquals(commands.calls.length, 1)
    assert(commands.calls[0]?.includes('b'))
  })

  it('goes on where the model ends, and refuses a log that is all known unless it is to replace it', async () => {
    const { home, learn } = stage()
    const first = line('a', START) + line('a', START + WINDOW)
    await learn({ 'a.log': first })
    const told = await learn({ 'b.log': first + line('b', START + 2 * WINDOW) })
    assertEquals([told.windows, told.knownWindows, home.model.windows], [1, 2, 3])
    await refuses(learn({ 'a.log': first }), 'CONFLICT', '--replace')
    assertEquals(home.saves, 2)
    const again = await learn({ 'a.log': line('z', START) }, { replace: true })
    assertEquals([again.windows, home.model.windows], [1, 1])
    assertEquals(
      home.model.top('frequency', { limit: 5 }).map(({ key }) => key),
      ['z'],
    )
  })

  it('tells that another has learned meanwhile, and asks for no flag that was given', async () => {
    const { home, learn } = stage()
    home.save = async () => false
    for (const replace of [false, true]) {
      const error = await assertRejects(() => learn({ 'a.log': line('a', START) }, { replace }), PrewarmError)
      assertEquals([error.code, error.message.includes('--replace')], ['CONFLICT', false])
      assertStringIncludes(error.message, 'run it again')
    }
  })

  it('writes nothing in a dry run', async () => {
    const { home, commands, learn } = stage()
    const told = await learn({ 'a.log': line('a', START) }, { dryRun: true })
    assertEquals([told.windows, told.kept, home.kept, commands.calls], [1, 0, null, []])
  })

  it('counts bad lines, tells the first without secrets, and goes on', async () => {
    const { learn } = stage()
    const text = `${line('a', START)}\n${line('a', START)}{"token":"abc"}\n${line('a', 9e12)}`
    const told = await learn({ 'a.log': text })
    assertEquals([told.lines, told.reads, told.bad], [4, 2, 2])
    assertEquals(told.firstBad, { file: 'a.log', line: 4, text: '{"token":***}' })
  })

  it('refuses a log of which more than half is bad, and writes nothing', async () => {
    const { home, commands, learn } = stage()
    const half = `${line('a', START)}{\n`
    assertEquals((await learn({ 'a.log': half }, { dryRun: true })).bad, 1)
    await refuses(learn({ 'a.log': `${half}{\n` }), 'LOG_INVALID', 'a.log:2', '2 of 3 lines', '--key-field')
    // It does not read on for hours.
    let given = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; given < 1000; given++) yield new TextEncoder().encode('{\n'.repeat(1000))
    }
    const sources = [{ name: 'b.log', chunks: endless() }]
    await refuses(learn({}, { sources }), 'LOG_INVALID', 'b.log:1')
    assert(given < 20, `${given}`)
    assertEquals([home.kept, commands.calls], [null, []])
  })

  it('refuses what is not sorted, naming file and line, and takes what is within five minutes', async () => {
    const { home, learn } = stage()
    await learn({ 'a.log': line('a', START + 300_000) + line('b', START) })
    const text = line('a', START + WINDOW + 300_001) + line('b', START + WINDOW)
    await refuses(learn({ 'b.log': text }), 'LOG_INVALID', 'b.log:2', 'sort it by time')
    const files = { 'new.log': line('a', START + 3 * WINDOW), 'old.log': line('a', START + WINDOW) }
    await refuses(learn(files), 'LOG_INVALID', 'old.log:1', 'oldest file first')
    assertEquals(home.saves, 1)
  })

  it('reads several files, each in its own format', async () => {
    const { learn } = stage()
    const at = new Date(START + WINDOW).toISOString()
    const told = await learn({ 'a.log': line('a', START), 'b.csv': `time,key\n${at},b\n` })
    assertEquals([told.lines, told.reads, told.windows], [2, 2, 2])
  })

  it('needs to know the keys of paths', async () => {
    const { learn } = stage()
    const text = `::1 - - [14/Nov/2023:20:00:00 +0000] "GET /films/1?pw=x HTTP/1.1" 200 1\n`
    await refuses(learn({ 'a.log': text }), 'USAGE', 'a.log', '--map')
    const keyOf = pathMap([{ path: '/film/{id}', key: 'film:{id}' }])
    await refuses(learn({ 'a.log': text }, { keyOf }), 'LOG_INVALID', 'no read of a key in 1 lines', '"GET /films/1?…')
    const films = pathMap([{ path: '/films/{id}', key: 'film:{id}' }])
    assertEquals((await learn({ 'a.log': text }, { keyOf: films, dryRun: true })).top[0]?.key, 'film:1')
  })

  it('refuses what is no log, or has no lines, or names no column', async () => {
    const { learn } = stage()
    await refuses(learn({ 'a.log': 'hello\n' }), 'LOG_INVALID', 'a.log:1', '--format')
    await refuses(learn({ 'a.log': '' }), 'LOG_INVALID', 'no read in 0 lines')
    await refuses(learn({ 'a.csv': 'a,b\n1,2\n' }), 'LOG_INVALID', "a.csv:1: no column is called 'key'")
  })

  it('writes nothing when it is interrupted, or its source breaks off', async () => {
    const { home, commands, learn } = stage()
    const abort = new AbortController()
    async function* aborting(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(line('a', START))
      abort.abort()
      yield* chunksOf(line('a', START))
    }
    await refuses(learn({}, { sources: [{ name: 'a', chunks: aborting() }], signal: abort.signal }), 'JOB_CANCELLED')
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(line('a', START))
      throw new PrewarmError('LOG_INVALID', 'a: it ends too early')
    }
    await refuses(learn({}, { sources: [{ name: 'a', chunks: broken() }] }), 'LOG_INVALID', 'too early')
    assertEquals([home.kept, commands.calls], [null, []])
  })

  it('remembers no more keys than it may', async () => {
    const { home, learn } = stage()
    let text = ''
    for (let n = 0; n < 5000; n++) text += line(`rare:${n}`, START + n) + (n % 10 === 0 ? line('hot', START + n) : '')
    const told = await learn({ 'a.log': text })
    assertEquals(told.top[0]?.key, 'hot')
    assert(told.kept <= 3000, `${told.kept}`)
    assertEquals(
      home.model.top('frequency', { limit: 1 }).map(({ key }) => key),
      ['hot'],
    )
  })
})
