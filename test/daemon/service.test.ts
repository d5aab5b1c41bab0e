import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import type { Config } from '../../src/config/load.ts'
import { Gate } from '../../src/daemon/gate.ts'
import { Service } from '../../src/daemon/service.ts'
import { PrewarmError } from '../../src/errors.ts'
import { FakeFacade } from '../fakes/facade.ts'

/** A warmer whose jobs, reload and stop are as the test says. */
class Warmer extends FakeFacade {
  stops = 0
  taken: Config[] = []
  hangs = false

  constructor(activeJobs: number) {
    super()
    this.setJobs(activeJobs)
  }

  setJobs(activeJobs: number): void {
    this.state = { ...this.state, activeJobs }
  }

  override async reload(config?: Config): Promise<string[]> {
    if (config !== undefined) this.taken.push(config)
    return ['redisUrl', 'control']
  }

  override async stop(): Promise<void> {
    this.stops++
    if (this.hangs) await new Promise(() => {})
  }
}

function serviceOf(warmer: Warmer, rest: Partial<ConstructorParameters<typeof Service>[0]> = {}) {
  const told: string[] = []
  const gate = new Gate(async () => new Response('answered'))
  gate.open()
  const listening = {
    url: 'http://127.0.0.1:1',
    port: 1,
    stop: async (graceMs?: number) => void told.push(`listening stops, ${graceMs} ms`),
  }
  const parts = { warmer, gate, listening, endStreams: () => void told.push('streams end'), drainMs: 60_000 }
  const readConfig = async () => warmer.config
  return { service: new Service({ ...parts, readConfig, newWorkerMs: 0, ...rest }), gate, told }
}

const request = (path = '/warm/status') => new Request(`http://127.0.0.1:1${path}`)

describe('a gate', () => {
  it('refuses before it is opened and after it is closed, but says that the program lives', async () => {
    const gate = new Gate(async () => new Response('answered'))
    const ask = async (path?: string) => {
      const response = await gate.fetch(request(path), undefined)
      const isJson = response.headers.get('content-type')?.includes('json') === true
      return [
        response.status,
        isJson ? (((await response.json()) as { code?: string }).code ?? 'ok') : await response.text(),
      ]
    }
    assertEquals(
      [await ask(), await ask('/healthz')],
      [
        [503, 'NOT_READY'],
        [200, 'ok'],
      ],
    )
    gate.open()
    assertEquals(
      [await ask(), await ask('/healthz')],
      [
        [200, 'answered'],
        [200, 'answered'],
      ],
    )
    gate.close()
    gate.open()
    assertEquals(
      [await ask(), await ask('/healthz')],
      [
        [503, 'STOPPED'],
        [200, 'ok'],
      ],
    )
  })

  it('counts what is being answered, also what fails', async () => {
    let answer!: (response: Response) => void
    let fail!: (error: Error) => void
    const pending = [
      new Promise<Response>((resolve) => {
        answer = resolve
      }),
      new Promise<Response>((_, reject) => {
        fail = reject
      }),
    ]
    const gate = new Gate(() => pending.pop() as Promise<Response>)
    gate.open()
    const asked = [gate.fetch(request(), null).catch(() => null), gate.fetch(request(), null)]
    assertEquals(gate.inFlight, 2)
    fail(new Error('no'))
    await asked[0]
    assertEquals(gate.inFlight, 1)
    answer(new Response())
    await asked[1]
    assertEquals(gate.inFlight, 0)
  })
})

describe('a service', () => {
  it('ends when its jobs have, and refuses requests at once', async () => {
    const warmer = new Warmer(1)
    const { service, gate, told } = serviceOf(warmer)
    const stopping = service.stop()
    assertEquals([service.stop(), told], [stopping, ['streams end']])
    assertEquals((await gate.fetch(request(), null)).status, 503)
    assertEquals(warmer.stops, 0)
    warmer.setJobs(0)
    assertEquals(await stopping, { clean: true, cutJobs: 0 })
    assertEquals([warmer.stops, told.at(-1)], [1, 'listening stops, 500 ms'])
  })

  it('waits for an answer that is under way', async () => {
    let answer!: (response: Response) => void
    const gate = new Gate(
      () =>
        new Promise((resolve) => {
          answer = resolve
        }),
    )
    gate.open()
    const warmer = new Warmer(0)
    const { service } = serviceOf(warmer, { gate })
    const asked = gate.fetch(request(), null)
    const stopping = service.stop()
    await new Promise((resolve) => setTimeout(resolve, 120))
    assertEquals(warmer.stops, 0)
    answer(new Response('late'))
    assertEquals(await (await asked).text(), 'late')
    assert((await stopping).clean)
  })

  it('does not wait for jobs that a stop by hand holds, as they would not end', async () => {
    const warmer = new Warmer(2)
    const since = '2026-11-21T10:00:00.000Z'
    warmer.state = { ...warmer.state, emergency: { state: 'stopped', by: 'hand', reason: 'deploy', since } }
    const { service } = serviceOf(warmer, { drainMs: 3_600_000 })
    assertEquals([(await service.stop()).cutJobs, warmer.stops], [2, 1])
  })

  it('cuts off what does not end within its drain', async () => {
    const warmer = new Warmer(2)
    const { service, told } = serviceOf(warmer, { drainMs: 60 })
    assertEquals(await service.stop(), { clean: false, cutJobs: 2 })
    assertEquals([warmer.stops, told.at(-1)], [1, 'listening stops, 0 ms'])
  })

  it('ends also when nothing below it does', { timeout: 20_000 }, async () => {
    const warmer = new Warmer(0)
    warmer.hangs = true
    warmer.schedules.stop = () => new Promise(() => {})
    assertEquals(await serviceOf(warmer).service.stop(), { clean: true, cutJobs: 0 })
  })

  it('takes a configuration over, and names what only a restart changes, as long as it differs', async () => {
    const warmer = new Warmer(0)
    const { settings } = warmer.config
    const other = {
      ...warmer.config,
      settings: { ...settings, control: { ...settings.control, port: 1, corsOrigins: ['x'] } },
    }
    const { service } = serviceOf(warmer, { readConfig: async () => other })
    const restart = ['redisUrl', 'control.port', 'control.corsOrigins']
    assertEquals(await service.reload(), { ok: true, restart })
    warmer.config = other
    assertEquals(await service.reload(), { ok: true, restart })
    assertEquals(warmer.taken, [other, other])
  })

  it('keeps the old one where the new one is wrong, and reloads one after the other', async () => {
    const warmer = new Warmer(0)
    let reads = 0
    let reading = 0
    const readConfig = async () => {
      assertEquals(++reading, 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
      reading--
      if (++reads === 1) throw new PrewarmError('CONFIG_INVALID', 'tasks is missing')
      return warmer.config
    }
    const { service } = serviceOf(warmer, { readConfig })
    const [first, second] = await Promise.all([service.reload(), service.reload()])
    assertEquals(first, { ok: false, failure: { code: 'CONFIG_INVALID', message: 'tasks is missing' } })
    assert(second.ok)
    assertEquals(warmer.taken, [warmer.config])
    warmer.setJobs(1)
    const stopping = service.stop()
    const late = await service.reload()
    assertEquals(late.ok ? '' : late.failure.code, 'STOPPED')
    warmer.setJobs(0)
    await stopping
  })

  it('has reloaded when a worker goes by the new one', async () => {
    const warmer = new Warmer(0)
    const { service } = serviceOf(warmer, { newWorkerMs: 60_000 })
    let isOver = false
    const reloading = service.reload().then(() => {
      isOver = true
    })
    const workers = (state: 'starting' | 'idle') => {
      const fresh = { id: 'w3', state, currentKey: null, startedAt: null }
      warmer.state = { ...warmer.state, workers: [...warmer.state.workers.slice(0, 2), fresh] }
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    workers('starting')
    await new Promise((resolve) => setTimeout(resolve, 120))
    assert(!isOver)
    workers('idle')
    await reloading
  })
})
