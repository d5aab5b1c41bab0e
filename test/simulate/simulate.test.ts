import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { assert, assertAlmostEquals, assertEquals, assertRejects } from '@std/assert'
import { simulate } from '../../bench/simulate/command.ts'
import { Mistake } from '../../bench/simulate/failure.ts'
import { replay } from '../../bench/simulate/replay.ts'
import { geometricMean, reportOf, type TraceReport } from '../../bench/simulate/report.ts'
import { readTrace } from '../../bench/simulate/trace.ts'
import { naturalMs, windowsOf } from '../../bench/simulate/window.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prewarm-simulate-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Requests by their number: in each ten of them `a` six times, `b` three times, and one key of its own. */
function index(requests: number): string {
  const keys = ['a', 'b', 'a', 'a', 'b', 'a', 'b', 'a', 'a']
  return `ts_ms,key\n${Array.from({ length: requests }, (_, at) => `${at},${keys[at % 10] ?? `once:${at}`}`).join('\n')}\n`
}

async function run(args: string[], shared = folder) {
  let [out, said] = ['', '']
  const code = await simulate(args, shared, {
    out: (text) => {
      out += text
    },
    say: (line) => {
      said += `${line}\n`
    },
  })
  return { code, out, said }
}

describe('readTrace', () => {
  it('reads plain and packed files, finds the columns by their names, and sums the file as it is', async () => {
    const text = 'size,ts_ms,key\r\n"1,5",1000,a\r\n2,1000,b,with, commas\r\n3,2500,a\r\n'
    const packed = gzipSync(text)
    const [plain, gz] = [await readTrace(file('t.csv', text)), await readTrace(file('t.csv.gz', packed))]
    assertEquals({ ...plain, sha256: '' }, { ...gz, sha256: '' })
    assertEquals([plain.name, plain.keys, [...plain.ids]], ['t', ['a', 'b,with, commas'], [0, 1, 0]])
    assertEquals([[...plain.times], plain.isTimed], [[1000, 1000, 2500], true])
    assertEquals(gz.sha256, createHash('sha256').update(packed).digest('hex'))
  })

  it('tells from the data whether there are times, and puts them in order', async () => {
    assertEquals((await readTrace(file('a.csv', index(30)))).isTimed, false)
    const mixed = await readTrace(file('b.csv', 'key,ts_ms\nx,5\ny,9\nz,7\nx,5'))
    assertEquals([mixed.isTimed, [...mixed.times], [...mixed.ids]], [true, [5, 5, 7, 9], [0, 0, 2, 1]])
  })

  it('reads files that are larger than what is read at once', async () => {
    const trace = await readTrace(file('big.csv.gz', gzipSync(index(200_000))))
    assertEquals([trace.ids.length, trace.keys.length, trace.times.at(-1)], [200_000, 20_002, 199_999])
  })

  it('names the file and the line of what is wrong', async () => {
    const cases: [string, string][] = [
      ['', 'it has no requests'],
      ['ts_ms,key\n', 'it has no requests'],
      ['time,key\n1,a', "line 1: the header is 'time,key', expected columns 'ts_ms' and 'key'"],
      ['ts_ms,key\n1,a\nsoon,b', "line 3: ts_ms is 'soon', expected a number"],
      ['ts_ms,key\n,b', "line 2: ts_ms is '', expected a number"],
      ['ts_ms,key\n1,', 'line 2: key is empty'],
      ['ts_ms,key\n1', 'line 2: 1 columns, expected 2'],
    ]
    for (const [text, message] of cases) {
      const path = file('bad.csv', text)
      const error = (await assertRejects(() => readTrace(path), Mistake)) as Error
      assert(error.message.startsWith(`--trace ${path}: ${message}`), error.message)
    }
    await assertRejects(() => readTrace(join(folder, 'none.csv')), Mistake, 'no such file')
    await assertRejects(() => readTrace(file('x.csv.gz', 'no gzip')), Mistake, 'can not be read')
  })
})

describe('windowsOf', () => {
  it('takes what is asked for, else what MANIFEST.md says, else a sixtieth', async () => {
    const path = file('t.csv', 'ts_ms,key\n0,a\n5000,b\n7200000,c\n')
    const trace = await readTrace(path)
    const of = ({ length, count, isIndex, from }: ReturnType<typeof windowsOf>) => [length, count, isIndex, from]
    assertEquals(of(windowsOf(trace, path, undefined)), [120_000, 61, false, 'the span'])
    file('MANIFEST.md', '| trace | rows | window |\n|---|---|---|\n| s | 1 | 9 h |\n| t | 3 | 15 min |\n')
    assertEquals(of(windowsOf(trace, path, undefined)), [900_000, 9, false, 'MANIFEST.md'])
    assertEquals(of(windowsOf(trace, path, '1h')), [3_600_000, 3, false, '--window'])
    assertEquals(of(windowsOf(trace, path, 'index')), [1, 3, true, '--window'])
    const numbered = file('n.csv', index(600))
    assertEquals(of(windowsOf(await readTrace(numbered), numbered, undefined)), [10, 60, true, 'the span'])
  })

  it('knows lengths that people think in', () => {
    assertEquals(
      [1, 130_000, 774_000, 44_600_000, 3_384_000_000].map(naturalMs),
      [1000, 120_000, 900_000, 43_200_000, 2_419_200_000],
    )
  })
})

describe('replay', () => {
  it('covers what the chosen keys were asked for', async () => {
    const path = file('t.csv', index(6000))
    const trace = await readTrace(path)
    const { rows, scored, restart } = replay(trace, windowsOf(trace, path, undefined))
    assertEquals(
      [scored, restart.requests, rows.map(({ predictor }) => predictor)],
      [30, 1000, ['recency', 'frequency', 'heuristic', 'decayed', 'learned', 'oracle']],
    )
    for (const { predictor, k, pooled, restart: warm } of rows) {
      if (predictor === 'recency') continue
      // The first key is a, which has 6 of 10 requests; b has 3; the others come once.
      assertAlmostEquals(k['0.1%'], 0.6, 1e-9, predictor)
      assertAlmostEquals(pooled['0.1%'], 0.6, 1e-9, predictor)
      assertAlmostEquals(k['1000'], predictor === 'oracle' ? 1 : 0.9, 1e-9, predictor)
      // One of two first reads is a hit where one key is warm.
      assertEquals(warm['0.1%'], restart.cold + 0.001)
    }
  })

  it('chooses by the past only: a trace with another end has the same choice at its middle', async () => {
    const restarts = await Promise.all(
      ['x', 'y'].map(async (key) => {
        const lines = index(6000).split('\n')
        // From the middle on, after the requests that are counted, all is for one key.
        const path = file(
          `${key}.csv`,
          lines.map((line, at) => (at > 4100 && line !== '' ? `${at - 1},${key}` : line)).join('\n'),
        )
        const trace = await readTrace(path)
        return replay(trace, windowsOf(trace, path, undefined)).rows.filter(({ predictor }) => predictor !== 'oracle')
      }),
    )
    const warm = restarts.map((rows) => rows.map(({ restart }) => restart))
    assertEquals(warm[0], warm[1])
  })

  it('gives every predictor as many keys, also where it would name fewer', async () => {
    const lines = Array.from({ length: 600 }, (_, at) => `${at},${at < 590 ? `early:${at % 50}` : 'late'}`)
    const path = file('t.csv', `ts_ms,key\n${lines.join('\n')}`)
    const trace = await readTrace(path)
    const { rows } = replay(trace, windowsOf(trace, path, undefined))
    const shareOf = (predictor: string) => rows.find((row) => row.predictor === predictor)?.k['1000']
    // The heuristic gives keys that were idle in the last window a score of 0; all of them fit into 1000.
    assertEquals(shareOf('heuristic'), shareOf('frequency'))
    assertAlmostEquals(shareOf('heuristic') as number, 29 / 30)
  })
})

describe('simulate', () => {
  it('prints one object for a trace, an array for all, with the names that are promised', async () => {
    mkdirSync(join(folder, 'traces'))
    const path = file('traces/one.csv', index(1200))
    file('traces/two.csv.gz', gzipSync(index(900)))
    const one = await run(['--trace', path, '--json'])
    assertEquals(one.code, 0)
    const report = JSON.parse(one.out)
    assertEquals([report.trace, report.windows], ['one', 60])
    assertEquals(report.sha256, createHash('sha256').update(index(1200)).digest('hex'))
    for (const row of report.rows) assertEquals(Object.keys(row.k).sort(), ['0.1%', '1%', '1000', '5%'])
    const all = JSON.parse((await run(['--json'])).out)
    assertEquals(
      all.map(({ trace }: TraceReport) => trace),
      ['one', 'two'],
    )
    assertEquals(all[0], report)
  })

  it('prints tables, the means too', async () => {
    mkdirSync(join(folder, 'traces'))
    for (const name of ['one', 'two']) file(`traces/${name}.csv`, index(1200))
    const { out, said } = await run([])
    assert(out.includes('| predictor | K = 0.1% | K = 1% | K = 5% | K = 1000 |'), out)
    // 1 % of the keys seen are one key as long as they are less than 101: in a third of the windows a alone, then b too.
    assert(/^\| learned \| 60\.0 % \| 70\.0 % \| 90\.0 % \| 90\.0 % \|/m.test(out), out)
    assert(out.includes('| predictor | all 2, 1 % | all 2, 5 % | worst, 1 % | worst, 5 % |'), out)
    assert(/^\| heuristic \| 1\.000 \| 1\.000 \| 1\.000 \| 1\.000 \|$/m.test(out), out)
    assert(said.startsWith('one: 60 windows (by the span)'), said)
  })

  it('takes a trace of a few requests, and a bound of keys', async () => {
    const few = await run(['--trace', file('few.csv', index(3)), '--json'])
    assertEquals([few.code, JSON.parse(few.out).windows], [0, 3])
    const trace = file('many.csv', index(6000))
    const shareOf = ({ out }: { out: string }) =>
      JSON.parse(out).rows.find(({ predictor }: { predictor: string }) => predictor === 'frequency').k['1000']
    const [all, some] = [
      await run(['--trace', trace, '--json']),
      await run(['--trace', trace, '--json', '--keys', '100']),
    ]
    assert(shareOf(some) < shareOf(all) + 1e-9 && shareOf(some) > 0.8, `${shareOf(some)}, ${shareOf(all)}`)
    const bad = await run(['--trace', trace, '--keys', '7'])
    assertEquals([bad.code, bad.out], [2, ''])
    assert(bad.said.includes("--keys is '7', expected a whole number from 100"), bad.said)
  })

  it('says what is wrong with a flag, its value, and what to do, and prints nothing else', async () => {
    const path = file('t.csv', 'ts_ms,key\n0,a\n5000,b\n')
    const numbered = file('n.csv', index(60))
    const cases: [string[], number, string][] = [
      [['--speed', '9'], 2, '--speed'],
      [['extra'], 2, 'extra'],
      [['--trace', join(folder, 'none.csv')], 2, `--trace ${join(folder, 'none.csv')}: there is no such file`],
      [['--trace', path, '--window', 'soon'], 2, '--window soon: expected a length of time such as 15m'],
      [['--trace', path, '--window', '0s'], 2, '--window 0s: expected'],
      [['--trace', path, '--window', '1h'], 2, '--window 1h: all 2 requests of t lie in one window'],
      [['--trace', numbered, '--window', '15m'], 2, '--window 15m: n tells no times'],
      [['--trace', file('empty.csv', '')], 2, 'it has no requests'],
      [[], 1, 'PREWARM_SHARED_DATA'],
    ]
    for (const [args, code, message] of cases) {
      const result = await run(args)
      assertEquals([result.code, result.out], [code, ''], args.join(' '))
      assert(result.said.includes(message), result.said)
    }
  })

  it('takes the geometric mean beside the heuristic', async () => {
    const path = file('t.csv', index(1200))
    const trace = await readTrace(path)
    const windows = windowsOf(trace, path, undefined)
    const report = reportOf(trace, windows, replay(trace, windows))
    const times = (factor: number): TraceReport => ({
      ...report,
      rows: report.rows.map((row) =>
        row.predictor === 'learned' ? { ...row, k: { ...row.k, '1%': row.k['1%'] * factor } } : row,
      ),
    })
    assertAlmostEquals(geometricMean([times(2), times(0.5)], 'learned', '1%'), 1)
    assertAlmostEquals(geometricMean([times(1.2), times(1.2)], 'learned', '1%'), 1.2)
  })
})
