import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { appWith, bearer, keySet, NOW_S, SECRET, signerOf, tokenWith } from './support.ts'

const forged = (n: number) => tokenWith({ jti: `${n}` }, `${SECRET}!`)
const many = async (calls: number, ask: (n: number) => Promise<{ status: number }>) => {
  const counts: Record<number, number> = {}
  for (const { status } of await Promise.all(Array.from({ length: calls }, (_, n) => ask(n)))) {
    counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}

describe('failed attempts', () => {
  it('are told why 30 times a minute, then when to come again', async () => {
    const { ask, clock } = appWith()
    const expired = bearer(await tokenWith({ exp: NOW_S - 60 }))
    assertEquals(await many(100, () => ask('/warm/status', expired)), { 401: 30, 429: 70 })
    const { headers, body } = await ask('/warm/status')
    assertEquals([body.code, headers.get('retry-after'), headers.get('www-authenticate')], ['RATE_LIMITED', '60', null])
    clock.tick(60_000)
    assertEquals((await ask('/warm/status', expired)).status, 401)
  })

  it('do not lock a good token out, neither a known one nor a new one', async () => {
    const { ask } = appWith()
    const [known, fresh] = [bearer(await tokenWith()), bearer(await tokenWith({ sub: 'new' }))]
    assertEquals((await ask('/warm/jobs', known)).status, 200)
    assertEquals(await many(100, () => ask('/warm/jobs', bearer('junk'))), { 401: 30, 429: 70 })
    assertEquals(await many(100, async (n) => ask('/warm/jobs', bearer(await forged(n)))), { 429: 100 })
    assertEquals([(await ask('/warm/jobs', known)).status, (await ask('/warm/jobs', fresh)).status], [200, 200])
  })

  it('cost at most 600 checks of signatures a minute, and a known token passes even then', async () => {
    const signer = await signerOf('ES256')
    const { ask } = appWith(keySet('ES256', [signer.jwk]))
    const [known, fresh] = [await signer.token(), await signer.token({ sub: 'new' })]
    assertEquals((await ask('/warm/jobs', bearer(known))).status, 200)
    const evil = await signerOf('ES256')
    const token = await evil.token()
    const { subtle } = crypto
    const verify = subtle.verify
    let checks = 0
    subtle.verify = ((...args: Parameters<typeof verify>) => {
      checks++
      return verify.apply(subtle, args)
    }) as typeof verify
    try {
      assertEquals(await many(1500, () => ask('/warm/jobs', bearer(token))), { 401: 30, 429: 1470 })
    } finally {
      subtle.verify = verify
    }
    assertEquals(checks, 599)
    assertEquals((await ask('/warm/jobs', bearer(fresh))).status, 429)
    assertEquals((await ask('/warm/jobs', bearer(known))).status, 200)
  })

  it('are counted by client: neither by what it says, nor for the others', async () => {
    let address = '203.0.113.1'
    const { ask } = appWith({ peerAddress: () => address })
    const junk = (n: number) => ask('/warm/jobs', { ...bearer('junk'), 'x-forwarded-for': `10.0.0.${n}` })
    assertEquals(await many(50, junk), { 401: 30, 429: 20 })
    address = '203.0.113.2'
    assertEquals((await junk(1)).status, 401)
    address = '2001:db8::1'
    assertEquals(await many(50, junk), { 401: 30, 429: 20 })
    address = '2001:db8::ffff'
    assertEquals((await junk(1)).status, 429)
  })

  it('behind a trusted proxy are counted by its client', async () => {
    const { ask } = appWith({ settings: { trustedProxies: ['127.0.0.1'] } })
    const junk = (client: string) => ask('/warm/jobs', { ...bearer('junk'), 'x-forwarded-for': `6.6.6.6, ${client}` })
    assertEquals(await many(50, () => junk('203.0.113.1')), { 401: 30, 429: 20 })
    assertEquals(await many(50, (n) => junk(`203.0.114.${n}`)), { 401: 50 })
  })

  it('tell nothing of the key', async () => {
    const { ask } = appWith()
    const answers = [await ask('/warm/jobs', bearer(await forged(1))), await ask('/warm/jobs', bearer('junk'))]
    for (const { body, headers } of answers) {
      const told = JSON.stringify(body) + JSON.stringify([...headers])
      assert(!told.includes(SECRET) && !told.includes('junk') && !/HS256|HMAC|crypto/i.test(told), told)
    }
  })
})
