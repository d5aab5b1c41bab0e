import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import type { Strategy } from '../../src/job/strategy/types.ts'
import { send, setup } from './support.ts'

const mine: Strategy = { rank: (keys) => ({ keys, priorities: 0 }) }
const withMine = () => setup({}, { strategies: { mine } })

const EXPLAINED = {
  rank: 1,
  key: 'film:1',
  task: 'films',
  priority: 37.5,
  why: { score: 37.5, importance: 50, hotness: 1.5, readsPerHour: 30, cost: 2, costMs: null },
}

describe('strategies over HTTP', () => {
  for (const [path, body] of [
    ['/warm/run', { tasks: ['films'] }],
    ['/warm/key', { keys: ['film:1'] }],
  ] as const)
    it(`POST ${path} takes one of the configuration’s, and names all where it is none`, async () => {
      const s = withMine()
      assertEquals((await send(s, 'POST', path, { ...body, strategy: 'mine' })).status, 202)
      assertEquals(s.warmer.submitted[0]?.request.strategy, 'mine')
      const refused = await send(s, 'POST', path, { ...body, strategy: 'yours' })
      const expected = 'one of selective, breadth, priority, mine'
      assertEquals(
        [refused.status, refused.body.code, refused.body.errors],
        [400, 'REQUEST_INVALID', [{ field: 'strategy', value: 'yours', expected }]],
      )
      assertEquals(s.warmer.submitted.length, 1)
    })

  it('POST /warm/pattern looks at the strategy before it looks for keys', async () => {
    const s = withMine()
    const { status } = await send(s, 'POST', '/warm/pattern', { pattern: 'film:*', strategy: 'toString' })
    assertEquals([status, s.warmer.calls], [400, []])
  })

  it('POST /warm/config takes one as the default', async () => {
    const s = withMine()
    const { status, body } = await send(s, 'POST', '/warm/config', { default_strategy: 'mine' })
    assertEquals([status, body.default_strategy], [200, 'mine'])
    assertEquals((await send(s, 'POST', '/warm/config', { default_strategy: '' })).status, 400)
  })

  it('POST /warm/run explains a plan, if it is asked to', async () => {
    const asked: boolean[] = []
    const s = setup({
      plan: async (_request, _signal, { explain }) => {
        asked.push(explain)
        return { tasks: [], explain: explain ? { strategy: 'priority', readsKnown: true, keys: [EXPLAINED] } : null }
      },
    })
    const { body } = await send(s, 'POST', '/warm/run', { dryRun: true, explain: true })
    assertEquals(body.explain, {
      strategy: 'priority',
      reads_known: true,
      keys: [
        {
          ...EXPLAINED,
          why: { score: 37.5, importance: 50, hotness: 1.5, reads_per_hour: 30, cost: 2, cost_ms: null },
        },
      ],
    })
    assertEquals('explain' in (await send(s, 'POST', '/warm/run', { dryRun: true })).body, false)
    assertEquals(asked, [true, false])
  })

  it('POST /warm/run refuses to explain what is no plan', async () => {
    const s = setup()
    const { status, body } = await send(s, 'POST', '/warm/run', { explain: true })
    assertEquals([status, body.code, s.warmer.submitted], [400, 'USAGE', []])
  })
})
