import { describe, it } from 'node:test'
import { assertEquals } from '@std/assert'
import { setup } from './support.ts'

/** Routes that may work for long before they answer, with a body. */
const LONG: Record<string, object> = {
  '/warm/run': { dryRun: true },
  '/warm/pattern': { pattern: 'film:*' },
  '/warm/clear': { pattern: 'film:*' },
}

/** What the server of a request was told of it, in order. */
function ask(path: string, body: string, s = setup({ plan: async () => [] })) {
  const told: number[] = []
  const env = { requestIP: () => null, timeout: (_: Request, seconds: number) => void told.push(seconds) }
  const headers = { 'content-type': 'application/json' }
  const answer = s.app.request(path, { method: 'POST', body, headers }, env)
  return { told, answer }
}

describe('a connection that is silent', () => {
  for (const [path, body] of Object.entries(LONG)) {
    it(`${path}: may be while it is worked on, and no longer`, async () => {
      const { told, answer } = ask(path, JSON.stringify(body))
      assertEquals([(await answer).status, told], [200, [0, 60]])
    })

    it(`${path}: may be no longer after a failure, either`, async () => {
      const s = setup()
      s.warmer.failure = new Error('no')
      const { told, answer } = ask(path, JSON.stringify(path === '/warm/run' ? {} : body), s)
      assertEquals([(await answer).status, told], [500, [0, 60]])
    })

    it(`${path}: may not be for who has no token, is over the limit, or sends no body`, async () => {
      const stranger = setup()
      stranger.access.scopes = null
      const limited = setup()
      limited.access.isLimited = true
      for (const [s, text, expected] of [
        [stranger, '{}', 401],
        [limited, '{}', 429],
        [setup(), '', 400],
      ] as const) {
        const { told, answer } = ask(path, text, s)
        assertEquals([(await answer).status, told], [expected, []])
      }
    })
  }

  it('is none of ours where the path only looks like one of these', async () => {
    const { told, answer } = ask('/healthz?/warm/run', '{}')
    assertEquals([(await answer).status, told], [405, []])
  })
})
