import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import type { Redis } from 'ioredis'
import { formatSnapshot } from '../../src/snapshot/format.ts'
import { type RedisServer, startRedisServer } from '../support/servers.ts'
import { connect, until } from '../support/warming.ts'
import { Machine } from './support.ts'

const SLOW = { timeout: 60_000 }

describe('`prewarm copy`', () => {
  const machine = new Machine()
  let servers: [RedisServer, RedisServer]
  let from: Redis
  let to: Redis
  let urls: string[]
  before(async () => {
    servers = await Promise.all([startRedisServer(), startRedisServer()])
    from = connect(servers[0].url)
    to = connect(servers[1].url)
    urls = ['--from', servers[0].url, '--to', servers[1].url]
  })
  beforeEach(async () => {
    await Promise.all([from.flushall(), to.flushall()])
    await from.mset(Object.fromEntries(Array.from({ length: 600 }, (_, at) => [`k:${at}`, `value ${at}`])))
  })
  after(async () => {
    from.disconnect()
    to.disconnect()
    await Promise.all(servers.map((server) => server.stop()))
    machine.remove()
  })

  it('looks first if told, copies, and says what is there already; all without a configuration', SLOW, async () => {
    const look = await machine.run('copy', ...urls, '--dry-run')
    assertEquals([look.code, await to.dbsize()], [0, 0])
    assert(/^would copy 600 keys, [\d.]+ KB, in /.test(look.stdout), look.stdout)
    const { code, answer } = await machine.json('copy', ...urls, '--match', 'k:1*', '--limit', '100')
    assertEquals([code, answer.ended, answer.looked, answer.chosen, answer.copied], [0, 'all', 111, 100, 100])
    const rest = await machine.run('copy', ...urls)
    assertEquals([rest.code, await to.dbsize()], [0, 600])
    assert(/^copied 500 keys, /.test(rest.stdout), rest.stdout)
    assert(/at the target already +100\n/.test(rest.stdout), rest.stdout)
  })

  it('takes the keys of a snapshot', SLOW, async () => {
    const entries = ['k:5', 'k:3', 'none'].map((key, at) => ({ key, score: 9 - at, ttlMs: null }))
    writeFileSync(join(machine.home, 'hot.ndjson'), formatSnapshot({ config: 'a', savedAtMs: 0, entries }))
    const { answer } = await machine.json('copy', ...urls, '--snapshot', 'hot.ndjson')
    assertEquals([answer.by, answer.copied, answer.gone], ['snapshot', 2, 1])
    assertEquals((await to.keys('*')).sort(), ['k:3', 'k:5'])
    const none = await machine.json('copy', ...urls, '--snapshot', 'none.ndjson')
    assertEquals([none.code, none.answer.error.code], [1, 'NOT_FOUND'])
  })

  it('that is interrupted ends cleanly, and goes on when it is run again', SLOW, async () => {
    const { child, finished } = machine.start('copy', ...urls, '--rate', '100')
    await until(async () => (await to.dbsize()) > 0)
    child.kill('SIGINT')
    const { code, stdout } = await finished
    assertEquals(code, 130)
    assert(/^interrupted after .*: run the same command again to go on\n/.test(stdout), stdout)
    const copied = Number(/\ncopied +(\d+)/.exec(stdout)?.[1])
    assertEquals(copied, await to.dbsize())
    const rest = await machine.json('copy', ...urls)
    assertEquals([rest.answer.present, rest.answer.copied], [copied, 600 - copied])
  })

  it('ends at once where a server does not answer, interrupted or by its deadline', SLOW, async () => {
    const stalled = await startRedisServer()
    const args = ['copy', '--from', servers[0].url, '--to', stalled.url.replace('://', '://u:secret@')]
    try {
      stalled.pause()
      const late = await machine.json(...args, '--timeout', '200ms')
      assertEquals([late.code, late.answer.error.code], [1, 'JOB_TIMEOUT'])
      assert(!JSON.stringify(late).includes('secret'), late.stderr)
      const { child, finished } = machine.start(...args)
      await until(async () => ((await from.call('CLIENT', 'LIST')) as string).includes('name=prewarm-copy'))
      child.kill('SIGINT')
      const { code, stderr } = await finished
      assertEquals([code, stderr], [130, 'error: interrupted\n'])
    } finally {
      await stalled.stop()
    }
  })

  it('refuses what can not be meant, and tells of a server that is away', SLOW, async () => {
    const same = await machine.json('copy', '--from', servers[0].url, '--to', servers[0].url)
    assertEquals([same.code, same.answer.error.code], [2, 'USAGE'])
    const hidden = await machine.json('copy', '--from', servers[0].url, '--to', `${servers[0].url}/0`)
    assertEquals([hidden.code, hidden.answer.error.code], [2, 'USAGE'])
    assertStringIncludes(hidden.answer.error.message, 'the same database of the same server')
    for (const database of ['99', 'films']) {
      const wrong = await machine.json('copy', '--from', servers[0].url, '--to', `${servers[1].url}/${database}`)
      assertEquals([wrong.code, wrong.answer.error.code, await to.dbsize()], [2, 'USAGE', 0])
      assertStringIncludes(wrong.answer.error.message, `/${database}`)
    }
    const stars = await machine.json('copy', ...urls, '--match', '*a*b*c*d*e*')
    assertEquals([stars.code, stars.answer.error.code], [2, 'USAGE'])
    assertEquals((await machine.run('copy', '--from', servers[0].url)).code, 2)
    const away = await machine.json('copy', '--from', servers[0].url, '--to', 'redis://u:secret@127.0.0.1:1')
    assertEquals([away.code, away.answer.error.code], [3, 'STORE_UNREACHABLE'])
    assert(!JSON.stringify(away).includes('secret'))
  })
})
