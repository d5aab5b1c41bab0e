/** A real Prometheus, by the files that `prewarm monitoring` writes, at a daemon that wants a token. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { eventually, type Prometheus, rewrite, startPrometheus, tool } from '../monitoring/support.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { DaemonMachine } from './support.ts'

const SLOW = { timeout: 120_000 }
const SECRET = 'a secret of the tests, 32 bytes or longer'

describe('Prometheus at a daemon', () => {
  let server: RedisServer
  let machine: DaemonMachine
  let prometheus: Prometheus | undefined
  let folder: string
  let url: string

  // Not before all tests: a hook has five seconds.
  it('starts, with the files that `prewarm monitoring` writes', SLOW, async () => {
    server = await startRedisServer({ args: ['--maxmemory', '100mb'] })
    machine = new DaemonMachine()
    machine.env.REDIS_URL = server.url
    machine.env.PREWARM_JWT_SECRET = SECRET
    url = (await machine.daemon()).url
    const written = await machine.json('monitoring', 'monitoring')
    assertEquals([written.code, written.answer.dir], [0, join(machine.home, 'monitoring')])
    folder = written.answer.dir
    rewrite(join(folder, 'prometheus.yml'), (text) =>
      text
        .replace('localhost:4000', new URL(url).host)
        .replace(/_interval: 15s/g, '_interval: 1s')
        .replace('scrape_timeout: 5s', 'scrape_timeout: 1s')
        // There is no Alertmanager.
        .replace(/^alerting:[\s\S]*?^(?=scrape_configs)/m, ''),
    )
    await renewToken('warm:read')
    const checked = tool('promtool', ['check', 'config', 'prometheus.yml'], { cwd: folder })
    assertEquals(checked.code, 0, checked.output)
    prometheus = await startPrometheus(folder)
  })
  after(async () => {
    await prometheus?.stop()
    machine?.remove()
    await server?.stop()
  }, SLOW)

  const token = async (scope: string) => (await machine.run('token', '--scope', scope)).stdout.trim()
  /** As the file's own comment says. */
  const renewToken = async (scope: string) => {
    writeFileSync(join(folder, 'prewarm.token'), await token(scope), { mode: 0o600 })
  }
  const get = async (path: string, bearer?: string) =>
    fetch(`${url}${path}`, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } })
  const api = (path: string) => {
    if (prometheus === undefined) throw new Error('prometheus does not run')
    return prometheus.api(path)
  }
  const target = async () => (await api('targets')).activeTargets[0]
  const value = async (query: string) => {
    const { result } = await api(`query?query=${encodeURIComponent(query)}`)
    return result[0] === undefined ? undefined : Number(result[0].value[1])
  }

  it('has nothing to say against what it serves', SLOW, async () => {
    assertEquals((await get('/metrics')).status, 401)
    const response = await get('/metrics', await token('warm:read'))
    const text = await response.text()
    assertEquals(response.status, 200)
    assertEquals(tool('promtool', ['check', 'metrics'], { input: text }), { code: 0, output: '' })
  })

  it('scrapes it by the token of the file, and counts what it warms', SLOW, async () => {
    const up = await eventually('the target is up', async () => {
      const found = await target()
      return found?.health === 'up' ? found : undefined
    })
    assertEquals([up.labels.job, up.lastError, up.scrapeUrl], ['prewarm', '', `${url}/metrics`])
    const headers = { authorization: `Bearer ${await token('warm:write')}`, 'content-type': 'application/json' }
    const body = '{"tasks":["quick"],"wait":true}'
    const run = await fetch(`${url}/warm/run`, { method: 'POST', headers, body })
    assertEquals(run.status, 200)
    await eventually('its keys are counted', async () =>
      (await value('warming_cache_writes_total')) === 100 ? true : undefined,
    )
    const series: [string, number][] = [
      ['warming_jobs_total{strategy="priority",status="success"}', 1],
      ['warming_keys_total{task="quick",outcome="written"}', 100],
      ['warming_success_total', 1],
      ['warming_failure_total', 0],
      ['cache_warmup_status', 1],
      ['cache_keys_warmed', 100],
      ['cache_warm_coverage_ratio', 1],
      ['sum(warming_workers)', 1],
      ['redis_memory_max_bytes', 100 * 1024 * 1024],
      ['sum(warming_duration_seconds_count)', 1],
      ['up{job="prewarm"}', 1],
    ]
    // A scrape that came too late on a busy machine leaves a gap, until the next one.
    for (const [query, expected] of series)
      await eventually(`${query} is ${expected}`, async () => ((await value(query)) === expected ? true : undefined))
    for (const query of [
      'redis_memory_usage_bytes',
      'process_resident_memory_bytes',
      'cache_warmup_last_success_timestamp_seconds',
    ])
      await eventually(`${query} is above 0`, async () => (((await value(query)) ?? 0) > 0 ? true : undefined))
    const health = await eventually('every rule was evaluated', async () => {
      const { groups }: { groups: { rules: { health: string }[] }[] } = await api('rules')
      const all = groups.flatMap(({ rules }) => rules.map((rule) => rule.health))
      return all.length >= 8 && !all.includes('unknown') ? all : undefined
    })
    assert(
      health.every((one) => one === 'ok'),
      health.join(),
    )
    await eventually('no alert is left', async () => ((await api('alerts')).alerts.length === 0 ? true : undefined))
  })

  it('is let in no more by a token that is no good', SLOW, async () => {
    writeFileSync(join(folder, 'prewarm.token'), 'x')
    const down = await eventually('the target is down', async () => {
      const found = await target()
      return found?.health === 'down' ? found : undefined
    })
    assert(/401|429/.test(down.lastError), down.lastError)
    await renewToken('warm:write')
    await eventually('the target is up again', async () => ((await target())?.health === 'up' ? true : undefined))
    assertEquals((await machine.json('daemon', 'stop')).answer.state, 'stopped')
  })
})
