import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { glob } from '../../src/keyspace/glob.ts'
import { checkAsync } from '../support/property.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'

const TIMEOUT = { timeout: 60_000 }

/** What is special in a pattern, more often than chance would have it; few other characters, so that keys do match. */
const pattern = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'**??[]^-\\abcé😀:'), minLength: 1, maxLength: 20 }),
  fc
    .array(
      fc.constantFrom(
        '*',
        '?',
        '[a-c]',
        '[^a]',
        '[é]',
        '[a-é]',
        '[',
        '[^',
        '\\',
        '\\*',
        '[\\]b]',
        '[]',
        '[^]',
        '[a-',
        'a',
        'b',
        'é',
        '-',
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((parts) => parts.join('')),
)
const key = fc.string({ unit: fc.constantFrom(...'abc*?[]^-\\é😀:'), minLength: 1, maxLength: 5 })

describe('glob and Redis', () => {
  let server: RedisServer
  let redis: Redis
  before(async () => {
    server = await startRedisServer()
    redis = new Redis(server.url)
  }, TIMEOUT)
  beforeEach(() => redis.flushall())
  after(async () => {
    redis.disconnect()
    await server.stop()
  })

  const scan = async (match: string) => {
    const found: string[] = []
    let cursor = '0'
    do {
      const [next, page] = await redis.scan(cursor, 'MATCH', match, 'COUNT', 1000)
      found.push(...page)
      cursor = next
    } while (cursor !== '0')
    return [...new Set(found)].sort()
  }

  it('answer alike, and what is sent leaves nothing out', TIMEOUT, async () => {
    let matched = 0
    const property = fc.asyncProperty(
      fc.uniqueArray(key, { minLength: 30, maxLength: 60 }),
      fc.array(pattern, { minLength: 1, maxLength: 10 }),
      async (keys, patterns) => {
        await redis.flushall()
        await redis.mset(...keys.flatMap((one) => [one, '1']))
        for (const text of patterns) {
          const one = glob(text)
          const found = keys.filter(one.matches).sort()
          matched += found.length
          assertEquals(found, await scan(text), text)
          assertEquals((await scan(one.scanPattern)).filter(one.matches), found, text)
        }
      },
    )
    await checkAsync(property, 500)
    assert(matched > 1000, `only ${matched} keys matched: the property says little`)
  })
})
