import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import { EventLog } from '../../src/events/event-log.ts'
import type { EmergencyState } from '../../src/facade.ts'
import { createMetrics, type Metrics } from '../../src/metrics/prometheus.ts'
import { idleStatus, wholeJob } from '../metrics/support.ts'
import { eventually, type Prometheus, removeFolder, rewrite, startPrometheus, writtenFolder } from './support.ts'

/** Waits for scrapes and evaluations, as long as they take. */
const SLOW = { timeout: 180_000 }

const TOKEN = 'the-token-of-the-file'

describe('a real Prometheus', () => {
  const clock = systemClock(() => Math.round(performance.now() * 1e6))
  const events = new EventLog({ clock })
  let emergency: EmergencyState = { state: 'none' }
  let metrics: Metrics
  let server: Server
  let folder: string
  let prometheus: Prometheus
  let warming: ReturnType<typeof setInterval>
  let failed = 0

  before(async () => {
    metrics = createMetrics({ events, status: () => idleStatus({ emergency }), tasks: () => ['films'], clock })
    server = createServer(async ({ headers, url }, response) => {
      const isAllowed = headers.authorization === `Bearer ${TOKEN}` && url === '/metrics'
      const { contentType, text } = await metrics.text()
      response.writeHead(isAllowed ? 200 : 401, { 'content-type': contentType }).end(isAllowed ? text : '')
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    folder = await writtenFolder()
    writeFileSync(join(folder, 'prewarm.token'), TOKEN)
    rewrite(join(folder, 'prometheus.yml'), (text) =>
      text
        .replace('localhost:4000', `127.0.0.1:${port}`)
        .replace(/_interval: 15s/g, '_interval: 500ms')
        .replace('scrape_timeout: 5s', 'scrape_timeout: 500ms')
        .replace(/^alerting:[\s\S]*?^(?=scrape_configs)/m, ''),
    )
    // The same rules in seconds rather than minutes.
    rewrite(join(folder, 'prewarm.rules.yml'), (text) =>
      text
        .replace(/\[(10m|5m|1h)\]/g, '[8s]')
        .replace(/offset 10m/g, 'offset 8s')
        .replace(/for: \d+m/g, 'for: 1s'),
    )
    prometheus = await startPrometheus(folder)
    warming = setInterval(() => {
      const status = failed === 0 ? 'success' : 'partial'
      wholeJob(events, { written: 50, failed }, status)
    }, 100)
  }, SLOW)
  after(async () => {
    clearInterval(warming)
    await prometheus?.stop()
    metrics?.close()
    await new Promise<void>((resolve) => (server === undefined ? resolve() : void server.close(() => resolve())))
    if (folder !== undefined) removeFolder(folder)
  })

  const alerts = async (): Promise<{ labels: Record<string, string>; state: string }[]> =>
    (await prometheus.api('alerts')).alerts
  const firing = async (name: string) =>
    (await alerts()).find(({ labels, state }) => labels.alertname === name && state === 'firing')
  const written = async (): Promise<number> => {
    const query = encodeURIComponent('sum(warming_cache_writes_total{job="prewarm"})')
    return Number((await prometheus.api(`query?query=${query}`)).result[0]?.value[1] ?? 0)
  }

  it('scrapes with the token of the file, and finds a healthy prewarm quiet', SLOW, async () => {
    const first = await eventually('keys are counted', async () => (await written()) || undefined)
    await eventually('more keys are counted', async () => (await written()) > first || undefined)
    // A scrape that came too late on a busy machine is an alert that is pending, until the next one.
    await eventually('no alert is left', async () => (await alerts()).length === 0 || undefined)
  })

  it('fires on a high failure rate and on the first emergency stop, and resolves both', SLOW, async () => {
    failed = 50
    emergency = { state: 'stopped', by: 'origin', reason: 'slow', since: new Date().toISOString() }
    events.emit({ type: 'emergency_stop', by: 'origin', reason: 'slow', p95_ms: 3000, threshold_ms: 2000 })
    const failures = await eventually('failures are told', () => firing('PrewarmHighFailureRate'))
    assertEquals(failures.labels, { alertname: 'PrewarmHighFailureRate', job: 'prewarm', severity: 'critical' })
    const stop = await eventually('the stop is told', () => firing('PrewarmEmergencyStop'))
    assertEquals([stop.labels.job, stop.labels.severity], ['prewarm', 'critical'])
    failed = 0
    emergency = { state: 'none' }
    await eventually('all is well again', async () => ((await alerts()).length === 0 ? true : undefined))
  })
})
