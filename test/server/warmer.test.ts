/** The API over a real warmer, which writes into memory. */
import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { load } from '../../src/config/define.ts'
import { controlPlane } from '../../src/server/index.ts'
import { turn } from '../fakes/clock.ts'
import { keys } from '../fakes/tasks.ts'
import { type Bench, benchOf } from '../fakes/warmer.ts'
import { FakeAccess, send, setup } from './support.ts'

function apiOf(bench: Bench) {
  return { app: controlPlane(bench.warmer, { access: new FakeAccess(), clock: bench.clock }) }
}

const one = load({
  key: 'k:{id}',
  select: () => keys(120),
  load: (wanted) => new Map(wanted.map((key) => [key, { key }])),
})

describe('the API over a warmer', () => {
  it('runs tasks, and answers with what became of them', async () => {
    const bench = benchOf({ one })
    const s = apiOf(bench)
    const { status, body } = await bench.clock.until(send(s, 'POST', '/warm/run', { tasks: ['one'], wait: true }))
    assertEquals([status, body.success, body.job.keys.written], [200, true, 120])
    assertEquals(bench.store.keys.sort(), keys(120).sort())
    const listed = await send(s, 'GET', '/warm/jobs')
    assertEquals([listed.body.jobs[0].job_id, listed.body.jobs[0].source], [body.job_id, 'http'])
    assertEquals((await send(s, 'GET', `/warm/jobs/${body.job_id}`)).body, body.job)
    const { metrics } = (await send(s, 'GET', '/warm/status')).body
    assertEquals([metrics.jobs_total, metrics.success_rate, metrics.cache_writes], [1, 1, 120])
  })

  it('plans without writing, as `prewarm plan` does', async () => {
    const bench = benchOf({ one })
    const { status, body } = await send(apiOf(bench), 'POST', '/warm/run', { dryRun: true, count: 70 })
    assertEquals([status, body.plan[0].keys, body.plan[0].batches, body.plan[0].sample], [200, 70, 2, keys(3)])
    assertEquals([bench.store.writes, await bench.warmer.jobs()], [[], []])
  })

  it('warms keys, and leaves out those without a task', async () => {
    const bench = benchOf({ one })
    const s = apiOf(bench)
    const { status, body } = await send(s, 'POST', '/warm/key', { keys: ['k:7', 'x:1'], ttl: '1m' })
    assertEquals([status, body.keys, body.unmatched], [202, ['k:7'], ['x:1']])
    let job = await send(s, 'GET', `/warm/jobs/${body.job_id}`)
    while (job.body.ended_at === null) {
      await bench.clock.advance(10)
      job = await send(s, 'GET', `/warm/jobs/${body.job_id}`)
    }
    assertEquals([job.body.status, bench.store.keys], ['success', ['k:7']])
    assertEquals((await send(s, 'DELETE', `/warm/jobs/${body.job_id}`)).status, 409)
  })

  it('changes settings', async () => {
    const bench = benchOf({ one })
    const { body } = await send(apiOf(bench), 'POST', '/warm/config', { max_batch_size: 7, default_ttl: '2m' })
    assertEquals([body.max_batch_size, body.default_ttl, body.tasks[0].ttl], [7, 120_000, 120_000])
    assertEquals(bench.warmer.config.settings.maxBatchSize, 7)
  })
})

describe('202', () => {
  it('is answered when the job is in the list of jobs, not before', async () => {
    for (const [path, body] of [
      ['/warm/run', {}],
      ['/warm/key', { keys: ['film:1'] }],
    ] as const) {
      const s = setup()
      let note = () => {}
      s.warmer.noted = new Promise((resolve) => {
        note = resolve
      })
      let isAnswered = false
      const answer = send(s, 'POST', path, body).then(({ status }) => {
        isAnswered = true
        return status
      })
      while (s.warmer.submitted.length === 0) await turn()
      await turn()
      assertEquals(isAnswered, false)
      note()
      assertEquals(await answer, 202)
    }
  })
})
