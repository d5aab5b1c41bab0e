import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { checkAsync } from '../support/property.ts'
import { send, setup } from './support.ts'

const PATHS = ['key', 'pattern', 'trigger-predictive', 'run', 'config', 'clear', 'stop', 'schedules'].map(
  (name) => `/warm/${name}`,
)
const FIELDS = [
  ...['keys', 'priority', 'strategy', 'ttl', 'pattern', 'limit', 'windowMs', 'tasks', 'tags', 'critical', 'params'],
  ...['dryRun', 'count', 'timeout', 'task', 'reason', 'name', 'cron', 'interval', 'jitter_ms', 'workers'],
  ...['max_origin_rps', 'default_ttl', '__proto__', 'constructor', 'toString', 'fence', 'signal'],
]

const value = fc.oneof(
  fc.jsonValue(),
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.constantFrom('film:1', 'film:*', 'films', 'catalog', '5m', '@daily', 'breadth', null),
  fc.array(fc.constantFrom('film:1', 'films', 'catalog', '')),
)
const body = fc.oneof(
  fc.dictionary(fc.constantFrom(...FIELDS), value, { maxKeys: 5 }).map((one) => JSON.stringify(one)),
  fc.jsonValue().map((one) => JSON.stringify(one)),
  fc.string(),
)

const isTexts = (given: unknown, min: number) =>
  given === undefined ||
  (Array.isArray(given) && given.length >= min && given.every((one) => typeof one === 'string' && one !== ''))
const isNumber = (given: unknown, min: number, max: number) =>
  given === undefined || (typeof given === 'number' && given >= min && given <= max)

describe('random bodies', () => {
  it('are answered with what is documented, never with 500, and nothing bad reaches the warmer', async () => {
    let accepted = 0
    const s = setup()
    const property = fc.asyncProperty(fc.constantFrom(...PATHS), body, async (path, text) => {
      s.warmer.submitted.length = 0
      const { status } = await send(s, 'POST', path, text)
      assert(status < 500, `${status}`)
      assertEquals(s.errors, [])
      if (status >= 400) assertEquals(s.warmer.submitted, [])
      else accepted++
      for (const { request } of s.warmer.submitted) {
        const { keys, tasks, tags, priority, count, ttlMs, timeoutMs, strategy, fence, signal } = request
        assert(isTexts(keys, 1) && isTexts(tasks, 1) && isTexts(tags, 1))
        assert(isNumber(priority, -1e6, 1e6) && isNumber(count, 1, 1e6))
        assert(isNumber(ttlMs, 1, 31_536_000_000) && isNumber(timeoutMs, 1, 86_400_000))
        assert(strategy === undefined || ['selective', 'breadth', 'priority'].includes(strategy))
        assertEquals([request.source, fence, signal], ['http', undefined, undefined])
      }
      assertEquals(({} as Record<string, unknown>).polluted, undefined)
    })
    await checkAsync(property, 1500)
    // Else it would only prove that everything is refused.
    assert(accepted > 20, `${accepted}`)
  })
})
