import { describe, it } from 'node:test'
import { assert, assertEquals, assertRejects } from '@std/assert'
import { type CopyOptions, copyKeys } from '../../src/copy/copy.ts'
import { Hottest } from '../../src/copy/hottest.ts'
import { rawOf, textOf } from '../../src/copy/raw-key.ts'
import type { CopyReport } from '../../src/copy/report.ts'
import type { CopySource, CopyTarget, Dumped, RawKey, Restored, ServerFacts } from '../../src/copy/types.ts'
import { PrewarmError } from '../../src/errors.ts'
import { FakeClock } from '../fakes/clock.ts'

const FACTS: ServerFacts = { runId: 'a', database: 0, version: '7.0', heat: 'freq', nowMs: 1_700_000_000_000 }
const MB = 1024 * 1024

interface Held {
  heat: number
  bytes: number
  expiresAtMs?: number
}

/** A server in memory that gives keys. */
class FakeSource implements CopySource {
  readonly held = new Map<RawKey, Held>()
  /** Keys of each dump, and the bytes they take. */
  readonly dumps: { keys: string[]; bytes: number; atMs: number }[] = []
  facts = FACTS
  /** Questions for keys' heat. */
  asked = 0
  readonly #clock: FakeClock

  constructor(clock: FakeClock, count = 0, bytes = 100) {
    this.#clock = clock
    for (let at = 0; at < count; at++) this.held.set(`k:${at}`, { heat: count - at, bytes })
  }

  async server() {
    return this.facts
  }
  async *scan(match: string) {
    const isTags = match.startsWith('prewarm:tag:')
    const keys = [...this.held.keys()].filter((key) => !isTags || key.startsWith('prewarm:tag:'))
    for (let at = 0; at < keys.length; at += 100) yield keys.slice(at, at + 100)
  }
  async heatOf(keys: readonly RawKey[]) {
    this.asked++
    return keys.map((key) => this.held.get(key)?.heat ?? null)
  }
  async bytesOf(keys: readonly RawKey[]) {
    return keys.map((key) => this.held.get(key)?.bytes ?? null)
  }
  async dump(keys: readonly RawKey[]): Promise<(Dumped | null)[]> {
    const bytes = keys.reduce((sum, key) => sum + (this.held.get(key)?.bytes ?? 0), 0)
    this.dumps.push({ keys: [...keys], bytes, atMs: this.#clock.elapsedMs })
    return keys.map((key) => {
      const held = this.held.get(key)
      if (held === undefined) return null
      const rest = { version: null, freq: held.heat, idleS: null, expiresAtMs: held.expiresAtMs ?? null }
      return { key, payload: new Uint8Array(), ...rest }
    })
  }
}

/** A server in memory that takes keys. */
class FakeTarget implements CopyTarget {
  readonly held = new Map<RawKey, Dumped>()
  /** Of each key. */
  readonly bytes = new Map<RawKey, number>()
  readonly tickets: string[] = []
  facts: ServerFacts = { ...FACTS, runId: 'b' }
  maxBytes = 0
  usedBytes = 0
  onRestore: (dumped: readonly Dumped[]) => void = () => {}
  verdictOf: (dumped: Dumped) => Restored | undefined = () => undefined
  readonly #source: FakeSource

  constructor(source: FakeSource) {
    this.#source = source
  }

  async server() {
    return this.facts
  }
  async memory() {
    return { usedBytes: this.usedBytes, maxBytes: this.maxBytes }
  }
  async present(keys: readonly RawKey[]) {
    return keys.map((key) => this.held.has(key))
  }
  async begin() {
    this.tickets.push(`${this.#source.asked}`)
    return String(this.tickets.length)
  }
  async restore(dumped: readonly Dumped[]) {
    this.onRestore(dumped)
    return dumped.map((one): Restored => {
      const verdict = this.verdictOf(one)
      if (verdict !== undefined) return verdict
      if (this.held.has(one.key)) return 'present'
      this.held.set(one.key, one)
      this.usedBytes += this.#source.held.get(one.key)?.bytes ?? 0
      return 'copied'
    })
  }
}

function assertWhole(report: CopyReport): void {
  const { chosen, copied, present, newer, gone, failed, unknown, leftOut, left } = report
  assertEquals(copied + present + newer + gone + failed + unknown + leftOut + left, chosen, JSON.stringify(report))
}

class Desk {
  readonly clock = new FakeClock()
  readonly source: FakeSource
  readonly target: FakeTarget

  constructor(count = 0, bytes = 100) {
    this.source = new FakeSource(this.clock, count, bytes)
    this.target = new FakeTarget(this.source)
  }

  async copy(options: Partial<CopyOptions> = {}): Promise<CopyReport> {
    const rest = { match: '*', limit: 100_000, rate: 1_000_000, timeoutMs: 600_000, dryRun: false }
    const signal = new AbortController().signal
    const report = await this.clock.until(copyKeys(this, { ...rest, signal, ...options }))
    assertWhole(report)
    return report
  }
}

describe('copying hot keys', () => {
  it('goes hottest first, and leaves out what is prewarm’s own', async () => {
    const desk = new Desk(1200)
    for (const key of ['prewarm:jobs', 'cache:warmup:lock', 'prewarm:tag:news'])
      desk.source.held.set(key, { heat: 9999, bytes: 10 })
    const report = await desk.copy({ limit: 1000 })
    assertEquals([report.ended, report.looked, report.chosen, report.copied], ['all', 1200, 1000, 1000])
    const [tags, ...groups] = desk.source.dumps
    assertEquals(tags?.keys, ['prewarm:tag:news'])
    assertEquals(
      groups.flatMap(({ keys }) => keys),
      Array.from({ length: 1000 }, (_, at) => `k:${at}`),
    )
    assertEquals([report.tags, report.bytes, report.by], [1, 100_000, 'freq'])
    assertEquals(report.hottest[0], { key: 'k:0', heat: 1200 })
    assertEquals(desk.target.held.size, 1001)
  })

  it('takes its ticket before anything is read', async () => {
    const desk = new Desk(1200)
    await desk.copy()
    assertEquals(desk.source.dumps.length, 3)
    // What had been asked of the source when it was taken.
    assertEquals(desk.target.tickets, ['0'])
    const look = new Desk(10)
    await look.copy({ dryRun: true })
    assertEquals(look.target.tickets, [])
  })

  it('keeps to its rate, in small groups', async () => {
    const desk = new Desk(1000)
    const report = await desk.copy({ rate: 100 })
    assertEquals([report.copied, report.durationMs], [1000, 9900])
    for (const { keys, atMs } of desk.source.dumps) {
      assertEquals(keys.length, 10)
      const before = desk.source.dumps.filter((one) => one.atMs <= atMs).flatMap((one) => one.keys).length
      assert(before <= 10 + atMs / 10, `${before} keys after ${atMs} ms`)
    }
  })

  it('holds few bytes at once; a large value goes alone', async () => {
    const desk = new Desk(40, 300_000)
    desk.source.held.set('large', { heat: 20.5, bytes: 100 * MB })
    await desk.copy()
    assertEquals(desk.target.held.size, 41)
    for (const { keys, bytes } of desk.source.dumps) assert(bytes <= 2 * MB || keys.length === 1, `${bytes}`)
    assert(desk.source.dumps.some(({ keys }) => keys.length === 6))
  })

  it('stops at 95 % of the target’s memory, with the hottest there', async () => {
    const desk = new Desk(1000, 1000)
    desk.target.maxBytes = 1_000_000
    desk.target.usedBytes = 550_000
    const report = await desk.copy()
    assertEquals([report.ended, report.copied, report.leftOut, report.left], ['full', 400, 600, 0])
    assertEquals([desk.target.usedBytes, desk.target.held.has('k:399')], [950_000, true])
  })

  it('stops where the target says that it has none', async () => {
    const desk = new Desk(1000)
    let count = 0
    desk.target.verdictOf = () => (++count > 300 ? 'full' : undefined)
    const report = await desk.copy()
    assertEquals([report.ended, report.copied, report.leftOut], ['full', 300, 700])
  })

  it('counts each key once, whatever becomes of it', async () => {
    const desk = new Desk(700)
    for (const at of [1, 2, 3]) desk.target.held.set(`k:${at}`, {} as Dumped)
    desk.source.bytesOf = async (keys) => keys.map((key) => (key === 'k:4' ? null : 100))
    const dump = desk.source.dump.bind(desk.source)
    desk.source.dump = async (keys) => {
      const all = await dump(keys)
      return all.map((one) => (one?.key === 'k:5' ? null : one))
    }
    const verdicts: Record<string, Restored> = {
      'k:6': 'newer',
      'k:7': 'expired',
      'k:8': { failed: 'ERR Bad data format' },
      'k:9': 'present',
    }
    desk.target.verdictOf = ({ key }) => verdicts[key]
    const report = await desk.copy()
    assertEquals([report.copied, report.present, report.newer], [691, 4, 1])
    assertEquals([report.gone, report.failed, report.left, report.ended], [3, 1, 0, 'all'])
    assertEquals(report.firstError?.message, 'The target refused a key: ERR Bad data format')
  })

  it('ends at once where the target can not read what the source dumps', async () => {
    const desk = new Desk(1000)
    desk.target.verdictOf = () => ({ failed: 'ERR DUMP payload version or checksum are wrong' })
    desk.target.facts = { ...desk.target.facts, version: '6.2' }
    const report = await desk.copy()
    assertEquals([report.ended, report.failed, report.left, desk.source.dumps.length], ['failed', 500, 500, 1])
    const { code, message } = report.firstError ?? {}
    assertEquals(code, 'STORE_REFUSED')
    assert(message?.includes("target (version 6.2) can't read what the source (version 7.0) dumps"), message)
  })

  it('says how far it came by its deadline, when interrupted, or when a server goes away; then goes on there', async () => {
    const desk = new Desk(1000)
    const late = await desk.copy({ rate: 100, timeoutMs: 2050 })
    assertEquals([late.ended, late.copied, late.left], ['deadline', 210, 790])
    assertEquals(desk.clock.pending, 0, 'no timer is left')
    const abort = new AbortController()
    const onProgress = ({ copied }: { copied: number }) => copied >= 100 && abort.abort()
    const cut = await desk.copy({ rate: 100, signal: abort.signal, onProgress })
    assertEquals([cut.ended, cut.present, cut.copied], ['interrupted', 210, 100])
    let calls = 0
    desk.target.onRestore = () => {
      if (++calls === 3) throw new PrewarmError('STORE_UNREACHABLE', 'it went away')
    }
    const away = await desk.copy({ rate: 1000 })
    assertEquals([away.ended, away.present, away.copied, away.unknown], ['failed', 310, 190, 100])
    assertEquals([away.left, away.firstError?.code], [400, 'STORE_UNREACHABLE'])
    desk.target.onRestore = () => {}
    const rest = await desk.copy()
    assertEquals([rest.ended, rest.present, rest.copied, rest.left], ['all', 500, 500, 0])
  })

  it('that is only looked at writes nothing', async () => {
    const desk = new Desk(100)
    desk.source.held.set('prewarm:tag:news', { heat: 1, bytes: 1 })
    desk.target.held.set('k:1', {} as Dumped)
    const report = await desk.copy({ dryRun: true, limit: 50 })
    assertEquals([report.copied, report.present, report.bytes, report.tags], [49, 1, 4900, 0])
    assertEquals([desk.target.held.size, desk.source.dumps.length], [1, 0])
  })

  it('takes the keys it is given, in their order, but none of prewarm’s own', async () => {
    const desk = new Desk(100)
    const report = await desk.copy({ keys: ['k:7', 'prewarm:changes', 'k:3', 'none'] })
    assertEquals([report.chosen, report.copied, report.gone, report.by], [3, 2, 1, 'snapshot'])
    assertEquals(desk.source.dumps[0]?.keys, ['k:7', 'k:3'])
  })

  it('goes by the target’s clock where the two differ', async () => {
    for (const [aheadMs, wantedMs] of [
      [400, 0],
      [90_000, 90_000],
      [-90_000, -90_000],
    ] as const) {
      const desk = new Desk(1)
      desk.source.held.set('k:0', { heat: 1, bytes: 1, expiresAtMs: FACTS.nowMs + 5000 })
      desk.target.facts = { ...desk.target.facts, nowMs: FACTS.nowMs + aheadMs }
      await desk.copy()
      assertEquals(desk.target.held.get('k:0')?.expiresAtMs, FACTS.nowMs + 5000 + wantedMs)
    }
  })

  it('refuses one database as both ends, and takes two of one server', async () => {
    const desk = new Desk(5)
    desk.target.facts = { ...FACTS }
    const error = await assertRejects(() => desk.copy(), PrewarmError)
    assertEquals(error.code, 'USAGE')
    desk.target.facts = { ...FACTS, database: 1 }
    assertEquals((await desk.copy()).copied, 5)
  })
})

describe('the hottest keys', () => {
  it('are those of a full sort, whatever the order they come in, and each once', () => {
    for (let seed = 1; seed <= 30; seed++) {
      let state = seed
      const random = () => {
        state = (state * 48_271) % 2_147_483_647
        return state / 2_147_483_647
      }
      const all = Array.from({ length: 300 }, (_, at) => ({
        key: `k:${at}`,
        heat: Math.floor(random() * 1000) + at / 1000,
      }))
      const limit = 1 + Math.floor(random() * 320)
      const hottest = new Hottest(limit)
      for (const { key, heat } of [...all, ...all].sort(() => random() - 0.5)) hottest.add(key, heat)
      const expected = [...all].sort((a, b) => b.heat - a.heat).slice(0, limit)
      assertEquals(hottest.take(), expected)
      assertEquals(hottest.take(), [])
    }
  })
})

describe('a raw key', () => {
  it('has a character for each byte', () => {
    assertEquals([rawOf('film:1'), rawOf('ü€'), rawOf('😀').length], ['film:1', 'Ã¼â\u0082¬', 4])
    for (const key of ['film:1', 'ü€😀', '\u0000\u007f']) assertEquals(textOf(rawOf(key)), key)
    assertEquals(textOf('\u00ff'), '�')
  })
})
