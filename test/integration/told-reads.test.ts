import { after, before, describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { createWarmer, defineConfig, load } from '../../src/index.ts'
import { DemandReader } from '../../src/predict/demand.ts'
import { controlPlane } from '../../src/server/index.ts'
import { FakeAccess, holdAgainst } from '../server/support.ts'
import { clock } from '../support/coordination.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }
const config = defineConfig({ tasks: { films: load({ key: 'film:{id}', load: () => new Map() }) } })

describe('reads that another program tells of', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedisServer()
  }, TIMEOUT)
  after(() => server.stop(), TIMEOUT)

  it('are demand, of now and of half an hour ago, and count for the hit rate', TIMEOUT, async () => {
    const commands = new RedisCommands({ url: server.url, clock })
    {
      await using warmer = await createWarmer({ config, env: {}, redisUrl: server.url })
      const app = controlPlane(warmer, { access: new FakeAccess() })
      const at = Date.now() - 1_800_000
      const reads = [
        { key: 'film:1', count: 30, tier: 'redis' },
        { key: 'film:2', count: 20, at },
        { key: 'film:2', at: new Date(at).toISOString(), tier: 'origin' },
      ]
      const headers = { 'content-type': 'application/json' }
      const response = await app.request('/access', { method: 'POST', headers, body: JSON.stringify({ reads }) })
      const { status, body } = holdAgainst('POST', '/access', response, await response.text())
      assertEquals([status, body.accepted], [202, 3])
      assertEquals(warmer.reads, { hits: 30, misses: 1 })
    }
    // What is recent was sent when the warmer ended.
    const { keys } = await new DemandReader({ commands, clock }).read()
    await commands.close()
    const [one, two] = [keys.get('film:1') as number, keys.get('film:2') as number]
    assertEquals([keys.size, Math.round((one / two) * 1000)], [2, Math.round((30 / 21) * 1000)])
  })
})
