import { afterEach, beforeEach, describe, it } from 'node:test'
import { getLogger, resetSync } from '@logtape/logtape'
import { assert, assertEquals } from '@std/assert'
import type { Io } from '../../src/cli/io.ts'
import { configureLog } from '../../src/cli/log.ts'
import { PrewarmError, redact } from '../../src/errors.ts'

describe('configureLog', () => {
  let lines: string[]
  let io: Io
  const log = getLogger(['prewarm', 'pool'])

  beforeEach(() => {
    lines = []
    io = {
      isLive: false,
      columns: 80,
      answer: async () => {},
      note: (line) => void lines.push(redact(line)), // as the program's own does
      live: () => {},
      paint: (_, text) => text,
    }
  })
  afterEach(() => resetSync())

  it('text: warnings and worse, with the trace; verbose tells more', () => {
    configureLog(io, false)
    log.info('unheard')
    log.warn('task {task} has no plan', { task: 'films', traceId: 'abc' })
    assertEquals(lines, ['warning: task films has no plan (trace abc)'])
    configureLog(io, { verbose: true })
    log.info('heard')
    assertEquals(lines.at(-1), 'info: heard')
  })

  it('json: one object a line, named as the HTTP API names things', () => {
    configureLog(io, { verbose: true, format: 'json' })
    log.info('job {jobId} ended: {status}', { jobId: 'j1', traceId: 'abc', status: 'success', tasks: ['a', 'b'] })
    assertEquals(lines.length, 1)
    const { time, ...rest } = JSON.parse(lines[0] as string)
    assertEquals(new Date(time).toISOString(), time)
    assertEquals(rest, {
      level: 'info',
      logger: 'prewarm.pool',
      message: 'job j1 ended: success',
      trace_id: 'abc',
      job_id: 'j1',
      status: 'success',
      tasks: ['a', 'b'],
    })
  })

  it('json: neither newlines nor properties break a line, or its own fields', () => {
    configureLog(io, { format: 'json' })
    const round: Record<string, unknown> = { name: 'round' }
    round.self = round
    log.warn('two\nlines {message}', {
      message: 'x\ny',
      time: 'never',
      level: 'none',
      round,
      at: 12n,
      when: new Date(0),
    })
    assertEquals(lines.length, 1)
    assert(!(lines[0] as string).includes('\n'))
    const line = JSON.parse(lines[0] as string)
    assertEquals([line.level, line.message], ['warning', 'two\nlines x\\ny'])
    assertEquals([line.at, line.when, line.round.name], ['12', '1970-01-01T00:00:00.000Z', 'round'])
    assert(line.time !== 'never')
  })

  it('json: shows no secret, and stays JSON where the line is masked once more', () => {
    configureLog(io, { format: 'json' })
    log.error('cannot reach {url}', {
      url: 'redis://user:hunter2@cache:6379',
      mail: 'ops@example.org',
      error: new PrewarmError('STORE_UNREACHABLE', 'postgres://app:hunter2@db/app?password=hunter2 is away'),
      jwt: { secret: 'hunter2', issuer: 'me' },
      accessToken: 'hunter2',
      nested: [{ url: 'http://hunter2@host/' }],
    })
    const [text = ''] = lines
    assert(!text.includes('hunter2'), text)
    const line = JSON.parse(text)
    assertEquals([line.message, line.url], ['cannot reach redis://***@cache:6379', 'redis://***@cache:6379'])
    assertEquals(line.mail, 'ops@example.org')
    assertEquals(line.error.code, 'STORE_UNREACHABLE')
    assertEquals([line.jwt, line.access_token], [{ secret: '***', issuer: 'me' }, '***'])
  })
})
