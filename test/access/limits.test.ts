import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { MemoryRateCounter } from '../../src/coordination/memory-rate.ts'
import { FakeClock } from '../fakes/clock.ts'
import { type AppOptions, appWith, bearer, tokenWith } from './support.ts'

const LOCAL: AppOptions = { settings: { jwt: undefined } }
type Ask = ReturnType<typeof appWith>['ask']

/** How many of `calls` were let in; the rest must have been refused by the limit. */
async function passed(
  ask: Ask,
  calls: number,
  headersOf: (n: number) => Record<string, string>,
  path = '/warm/status',
  method = 'GET',
) {
  const answers = await Promise.all(Array.from({ length: calls }, (_, n) => ask(path, headersOf(n), method)))
  for (const { status } of answers) assert(status === 200 || status === 429, `status ${status}`)
  return answers.filter(({ status }) => status === 200).length
}
const rotating = (n: number) => ({
  'x-forwarded-for': `203.0.113.${n % 250}, 198.51.100.${Math.floor(n / 250)}`,
  forwarded: `for=203.0.113.${n % 250}`,
  'x-real-ip': `203.0.113.${n % 250}`,
  'x-client-ip': `203.0.113.${n % 250}`,
})

describe('limits', () => {
  it('count a token’s subject, wherever it calls from', async () => {
    let n = 0
    const { ask } = appWith({ peerAddress: () => `10.0.${n % 250}.${n++ % 250}` })
    const [one, two] = [bearer(await tokenWith()), bearer(await tokenWith({ sub: 'other' }))]
    assertEquals(await passed(ask, 50, () => one), 5)
    assertEquals(await passed(ask, 50, () => two), 5)
    assertEquals(await passed(ask, 50, () => one), 0)
  })

  it('count another token of the same subject with it', async () => {
    const { ask } = appWith()
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, n) => tokenWith({ jti: `${n}` })))
    assertEquals(await passed(ask, 50, (n) => bearer(tokens[n] as string)), 5)
  })

  it('count a token that names no subject once, however its signature is spelled', async () => {
    const { ask } = appWith()
    const token = await tokenWith({ sub: undefined })
    // 32 bytes in 43 characters of base64: the last two bits are nobody's, and decoders leave them out.
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = letters.indexOf(token.at(-1) as string) & ~3
    const spelled = [0, 1, 2, 3].map((bits) => bearer(token.slice(0, -1) + letters[last | bits]))
    assertEquals(await passed(ask, 20, (n) => spelled[n % 4] as Record<string, string>), 5)
  })

  it('hold against 1000 calls that each claim to be forwarded for somebody else', async () => {
    assertEquals(await passed(appWith(LOCAL).ask, 1000, rotating), 5)
    const token = await tokenWith()
    assertEquals(await passed(appWith().ask, 1000, (n) => ({ ...bearer(token), ...rotating(n) })), 5)
    const trusting = { settings: { ...LOCAL.settings, trustedProxies: ['10.0.0.0/8'] } }
    assertEquals(await passed(appWith(trusting).ask, 1000, rotating), 5)
  })

  it('each way to warm has a count of its own, and GET and POST of one path don’t mix with others', async () => {
    const { ask } = appWith(LOCAL)
    for (const way of ['run', 'key', 'pattern', 'trigger-predictive'])
      assertEquals(await passed(ask, 20, () => ({}), `/warm/${way}`, 'POST'), 2, way)
    assertEquals(await passed(ask, 20, () => ({})), 5)
    assertEquals(await passed(ask, 20, () => ({}), '/warm/jobs'), 20)
  })

  it('do not hold up an emergency stop', async () => {
    assertEquals(await passed(appWith(LOCAL).ask, 200, () => ({}), '/warm/stop', 'POST'), 200)
  })

  it('say where one stands, and when to come again', async () => {
    const { ask, clock } = appWith(LOCAL)
    const told = async () => {
      const { status, headers } = await ask('/warm/run', {}, 'POST')
      const all = ['ratelimit-policy', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after']
      return [status, ...all.map((name) => headers.get(name))]
    }
    assertEquals(await told(), [200, '2;w=60', '2', '1', '60', null])
    clock.tick(20_500)
    assertEquals(await told(), [200, '2;w=60', '2', '0', '60', null])
    assertEquals(await told(), [429, '2;w=60', '2', '0', '60', '40'])
    clock.tick(39_400)
    assertEquals((await told()).at(-1), '1')
    clock.tick(1000)
    assertEquals(await told(), [200, '2;w=60', '2', '0', '60', null])
    const refused = await ask('/warm/run', {}, 'POST')
    assertEquals(
      [refused.body.code, refused.body.detail],
      ['RATE_LIMITED', 'At most 2 requests a minute: try again in 20 s'],
    )
  })

  it('are only spent by those who may call', async () => {
    const { ask } = appWith()
    const [reader, writer] = [bearer(await tokenWith({ scope: 'warm:read' })), bearer(await tokenWith())]
    for (let n = 0; n < 10; n++) assertEquals((await ask('/warm/run', reader, 'POST')).status, 403)
    assertEquals((await ask('/warm/run', writer, 'POST')).status, 200)
  })

  it('never show Redis a subject, and give each a name of bounded length', async () => {
    const clock = new FakeClock()
    const memory = new MemoryRateCounter(clock)
    const subjects: string[] = []
    const counter = {
      take(subject: string, limit: { max: number; windowMs: number }) {
        subjects.push(subject)
        return memory.take(subject, limit)
      },
    }
    const { ask } = appWith({ counter, clock })
    await ask('/warm/run', bearer(await tokenWith({ sub: 'alice@example.com' })), 'POST')
    await ask('/warm/status', bearer(await tokenWith({ sub: 'x'.repeat(256) })))
    assertEquals(
      subjects.map((subject) => subject.replace(/[0-9a-f]{32}$/, '#')),
      ['warm-run:#', 'status:#'],
    )
  })

  it('a subject that looks like an address is not counted as one', async () => {
    const clock = new FakeClock()
    const counter = new MemoryRateCounter(clock)
    const [open, closed] = [appWith({ ...LOCAL, counter, clock }), appWith({ counter, clock })]
    assertEquals(await passed(open.ask, 9, () => ({})), 5)
    const tokens = [await tokenWith({ sub: 'address:127.0.0.1' }), await tokenWith({ sub: '127.0.0.1' })]
    for (const token of tokens) assertEquals(await passed(closed.ask, 9, () => bearer(token)), 5)
  })

  it('stay shut when the counter fails', async () => {
    const counter = { take: () => Promise.reject(new Error('broken')) }
    assertEquals((await appWith({ ...LOCAL, counter }).ask('/warm/status')).status, 500)
  })
})
