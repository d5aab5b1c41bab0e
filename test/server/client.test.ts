import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { hc, type InferRequestType, type InferResponseType } from 'hono/client'
import type { ControlPlane } from '../../src/server/index.ts'
import { setup } from './support.ts'

// What tsc checks: this file does not compile where a route's types are lost.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Client = ReturnType<typeof hc<ControlPlane>>
type Status = InferResponseType<Client['warm']['status']['$get'], 200>
type Queued = InferResponseType<Client['warm']['key']['$post'], 202>
type Job = InferResponseType<Client['warm']['jobs'][':id']['$get'], 200>
type Paused = InferResponseType<Client['warm']['schedules'][':name']['pause']['$post'], 200>
type KeyRequest = InferRequestType<Client['warm']['key']['$post']>['json']

const types: [
  Same<Status['metrics']['success_rate'], number>,
  Same<Status['worker_status'][number]['current_key'], string | null>,
  Same<Queued['unmatched'], string[]>,
  Same<Job['task_results'][number]['keys']['written'], number>,
  Same<Paused['next_run_at'], string | null>,
  Same<KeyRequest['keys'], string[]>,
  Same<KeyRequest['strategy'], string | undefined>,
] = [true, true, true, true, true, true, true]

describe('hono/client', () => {
  it('knows every route and its types', async () => {
    assertEquals(types.includes(false as never), false)
    const { app } = setup()
    const fetch = ((input: string, init: RequestInit) => app.request(input, init)) as typeof globalThis.fetch
    const client = hc<ControlPlane>('http://prewarm.test', { fetch })
    const status = await client.warm.status.$get()
    if (status.status !== 200) throw new Error(`${status.status}`)
    assertEquals((await status.json()).metrics.jobs_total, 5)
    const queued = await client.warm.key.$post({ json: { keys: ['film:1'], ttl: '5m' } })
    if (queued.status !== 202) throw new Error(`${queued.status}`)
    const { job_id: id } = await queued.json()
    const job = await client.warm.jobs[':id'].$get({ param: { id } })
    if (job.status !== 200) throw new Error(`${job.status}`)
    assertEquals((await job.json()).status, 'running')
    const refused = await client.warm.pattern.$post({ json: { pattern: '', limit: 5 } })
    if (refused.status !== 400) throw new Error(`${refused.status}`)
    assertEquals((await refused.json()).code, 'REQUEST_INVALID')
  })
})
