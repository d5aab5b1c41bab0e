import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assert, assertEquals, assertNotEquals, assertStringIncludes } from '@std/assert'
import { EventLog } from '../../src/events/event-log.ts'
import { createMetrics } from '../../src/metrics/prometheus.ts'
import { FakeClock } from '../fakes/clock.ts'
import { idleStatus, wholeJob } from '../metrics/support.ts'
import { removeFolder, rewrite, tool, writtenFolder } from './support.ts'

/** promtool plays days through. */
const SLOW = { timeout: 120_000 }

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  datasource?: unknown
  targets?: { refId: string; expr: string; datasource: unknown }[]
}

/** What a warmer shows after it has done and met everything. */
async function metricsText(): Promise<string> {
  const clock = new FakeClock()
  const events = new EventLog({ clock })
  const metrics = createMetrics({
    events,
    status: () =>
      idleStatus({
        queueDepth: new Map([
          [100, 2],
          [-5.5, 1],
        ]),
        workers: [{ id: '1', state: 'idle', currentKey: null, startedAt: null }],
      }),
    storeStats: async () => ({
      version: '8',
      usedMemoryBytes: 1,
      maxMemoryBytes: 2,
      evictionPolicy: 'noeviction',
      evictedKeys: 0,
      keyspaceHits: 0,
      keyspaceMisses: 0,
    }),
    tasks: () => ['films', 'with "quotes"\n\\'],
    clock,
  })
  for (const status of ['success', 'partial', 'failed', 'cancelled', 'skipped'])
    wholeJob(events, { written: 3, failed: 1, unknown: 1 }, status)
  events.emit({ type: 'emergency_stop', by: 'origin', reason: 'p95', p95_ms: 3000, threshold_ms: 2000 })
  metrics.recordRead({ tier: 'redis', filledBy: 'warm' })
  metrics.recordRead({ tier: 'origin', filledBy: 'unknown' })
  const { text } = await metrics.text()
  metrics.close()
  return text
}

describe('monitoring files', () => {
  let folder: string
  const text = (name: string) => readFileSync(join(folder, name), 'utf8')
  const panels = (): Panel[] => JSON.parse(text('grafana-dashboard.json')).panels

  before(async () => {
    folder = await writtenFolder()
  })
  after(() => removeFolder(folder))

  it('promtool finds nothing to say against the metrics', async () => {
    const found = tool('promtool', ['check', 'metrics'], { input: await metricsText() })
    assertEquals(found, { code: 0, output: '' })
  })

  it('promtool accepts the rules and the scrape config, amtool the routes', () => {
    const rules = tool('promtool', ['check', 'rules', 'prewarm.rules.yml'], { cwd: folder })
    assertEquals(rules.code, 0, rules.output)
    assertStringIncludes(rules.output, '8 rules found')
    writeFileSync(join(folder, 'prewarm.token'), 'token')
    const config = tool('promtool', ['check', 'config', 'prometheus.yml'], { cwd: folder })
    assertEquals(config.code, 0, config.output)
    const routes = tool('amtool', ['check-config', 'alertmanager.yml'], { cwd: folder })
    assertEquals(routes.code, 0, routes.output)
    assertStringIncludes(routes.output, '3 receivers')
  })

  it('each alert fires, resolves, and is quiet while all is well: promtool test rules', SLOW, () => {
    const { code, output } = tool('promtool', ['test', 'rules', 'prewarm.rules.test.yml'], { cwd: folder })
    assertEquals(code, 0, output)
    const names = [...text('prewarm.rules.yml').matchAll(/alert: (\w+)/g)].map(([, name]) => name as string)
    assertEquals(names.length, 8)
    for (const name of names) assertStringIncludes(text('prewarm.rules.test.yml'), name)
  })

  it('an alert says how bad, what, and what to do', () => {
    const alerts = text('prewarm.rules.yml').split('- alert: ').slice(1)
    for (const alert of alerts)
      for (const field of ['for: ', 'severity: ', 'summary: ', 'description: ', 'runbook: '])
        assertStringIncludes(alert, field)
  })

  it('rules and dashboard name only metrics that there are', async () => {
    const known = new Set([...(await metricsText()).matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name))
    const used = (source: string) => source.match(/\b(warming|cache|redis|prewarm|process)_[a-z_]+/g) ?? []
    const expressions = panels().flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    for (const source of [text('prewarm.rules.yml'), text('prewarm.rules.test.yml'), expressions.join('\n')]) {
      assert(used(source).length > 5)
      assertEquals(
        used(source).filter((name) => !known.has(name)),
        [],
      )
    }
  })

  it('Prometheus understands every query of the dashboard', () => {
    const expressions = panels().flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    assert(expressions.length > 20)
    const rules = expressions.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*'),
    }))
    const file = join(folder, 'panels.yml')
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
    const { code, output } = tool('promtool', ['check', 'rules', file])
    assertEquals(code, 0, output)
  })

  it('the dashboard’s panels have ids and places of their own, and the chosen data source', () => {
    const dashboard = JSON.parse(text('grafana-dashboard.json'))
    assertEquals(
      dashboard.templating.list.map(({ name, type }: { name: string; type: string }) => [name, type]),
      [
        ['datasource', 'datasource'],
        ['job', 'query'],
      ],
    )
    const all = panels()
    assertEquals(new Set(all.map(({ id }) => id)).size, all.length)
    const cells = new Set<string>()
    for (const { type, title, gridPos, targets = [] } of all) {
      const { x, y, w, h } = gridPos
      assert(x >= 0 && w > 0 && x + w <= 24, title)
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          assert(!cells.has(`${column},${row}`), `${title} lies on another panel`)
          cells.add(`${column},${row}`)
        }
      assertEquals(targets.length > 0, type !== 'row', title)
      assertEquals(new Set(targets.map(({ refId }) => refId)).size, targets.length)
      for (const { datasource } of targets) assertEquals(datasource, { type: 'prometheus', uid: '$' + '{datasource}' })
    }
  })
})

/** A change that makes an alert wrong, and the test case that must notice it. */
const MUTATIONS: [name: string, from: string, to: string, testCase: string][] = [
  ['no bound on the failure rate', '> 0.1\n', '> 0\n', 'healthy'],
  ['only failed keys', 'outcome=~"failed|unknown"', 'outcome=~"other"', 'high failure rate'],
  ['success by instance', 'sum by (job) (increase', 'sum by (job, instance) (increase', 'low success rate'],
  ['one job is a rate', '> 1.5', '> 0', 'a single failed job'],
  ['an empty queue', 'and sum by (job) (warming_queue_depth) > 0\n', '\n', 'healthy'],
  ['no reads at all', '< 0.8', '> 2', 'hit rate of 70'],
  [
    'a stop that lasts',
    'warming_emergency_active) == 1',
    'warming_emergency_active) == 7',
    'an emergency stop that lasts',
  ],
  [
    'a stop before the first scrape',
    'unless warming_emergency_stops_total offset 10m',
    'unless warming_emergency_stops_total',
    'an emergency stop before',
  ],
  ['a Redis without a bound', 'max_bytes > 0', 'max_bytes >= 0', 'no traffic'],
  [
    'a new installation',
    'and on (job) group by (job) (max_over_time(prewarm_build_info[1h] offset 26h))',
    '',
    'a new installation',
  ],
  [
    'a restart',
    '(max_over_time(cache_warmup_last_success_timestamp_seconds[26h]))',
    '(cache_warmup_last_success_timestamp_seconds)',
    'warm-up overdue',
  ],
]

describe('the rules’ test cases', () => {
  let folder: string
  before(async () => {
    folder = await writtenFolder()
  })
  after(() => removeFolder(folder))

  for (const [name, from, to, testCase] of MUTATIONS)
    it(`notice: ${name}`, SLOW, () => {
      const rules = join(folder, 'prewarm.rules.yml')
      const cases = join(folder, 'prewarm.rules.test.yml')
      const [rulesBefore, casesBefore] = [readFileSync(rules, 'utf8'), readFileSync(cases, 'utf8')]
      const [head = '', ...all] = casesBefore.split('  - name: ')
      const chosen = all.filter((one) => one.startsWith(testCase))
      assertEquals(chosen.length, 1)
      rewrite(cases, () => `${head}  - name: ${chosen[0]}`)
      const run = () => tool('promtool', ['test', 'rules', 'prewarm.rules.test.yml'], { cwd: folder }).code
      assertEquals(run(), 0)
      rewrite(rules, (text) => text.replaceAll(from, to))
      assertNotEquals(readFileSync(rules, 'utf8'), rulesBefore)
      assertEquals(run(), 1)
      writeFileSync(rules, rulesBefore)
      writeFileSync(cases, casesBefore)
    })
})
