/** A daemon with embedded servers, and each route tried with curl as the README shows it. */
import { writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { assert, assertEquals, assertStringIncludes } from '@std/assert'
import { systemClock } from '../../src/clock.ts'
import { RedisCommands } from '../../src/coordination/redis-commands.ts'
import { stampOf } from '../../src/daemon/process.ts'
import { AccessLog } from '../../src/predict/access-log.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { DOCUMENT, holdAgainst } from '../server/support.ts'
import { startRedisServer } from '../support/servers.ts'
import { until } from '../support/warming.ts'
import { type Instance, serve } from './instances.ts'
import { type Answered, type Line, readmeConfig, readmeLines, Shell } from './readme.ts'
import { DaemonMachine } from './support.ts'

const SLOW = { timeout: 120_000 }

/** An embedded Postgres is empty: the README's query brings its table along. */
const FILMS =
  'with film as (select n as film_id, n::text as title, 1.99 as rental_rate, 1000 - n as rentals from generate_series(1, 1000) n) '

/** Where it is not 200. */
const STATUS: Record<string, number> = {
  'POST /warm/key': 202,
  'POST /warm/pattern': 202,
  'POST /warm/run': 202,
  'DELETE /warm/jobs/{id}': 409,
  'POST /warm/schedules': 201,
  'POST /warm/schedules/{name}/run': 202,
  'POST /access': 202,
}

/** What comments name besides the line itself: what to put in the place of what. */
const ALSO: [command: string, comment: string, was: string, is: string][] = [
  ['/warm/clear', 'or {"task":"films"}', '{"pattern":"film:*","dryRun":true}', '{"task":"films"}'],
  ['/pause', 'and /resume', '/pause', '/resume'],
  ['"wait":true', 'with "dryRun":true 200 and the plan', '"wait":true,"timeout":"1m"', '"dryRun":true'],
]

const templateOf = (path: string) =>
  Object.keys(DOCUMENT.paths).find((one) =>
    new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(path.split('?')[0] as string),
  ) ?? path

const typesIn = (text: string) => new Set([...text.matchAll(/^event: (\w+)$/gm)].map(([, type]) => type))

describe('the README’s HTTP API', () => {
  const { settings, calls } = readmeLines()
  const tried = new Set<string>()
  let machine: DaemonMachine
  let url: string
  let shell: Shell

  // Not before all tests: a hook has five seconds.
  it('is served by a daemon with the README’s configuration', SLOW, async () => {
    machine = new DaemonMachine()
    machine.env.PREWARM_JWT_SECRET = 'a secret of the tests, 32 bytes or longer'
    const changed: [string, string][] = [
      ['films: sql({', "films: sql({ tags: ['catalog'],"],
      ["query: 'select", `query: '${FILMS}select`],
      ['tasks: {', 'control: { rateLimits: { warm: 1000, status: 1000, clear: 1000, other: 10_000 } }, tasks: {'],
    ]
    let config = readmeConfig()
    for (const [was, is] of changed) {
      assertStringIncludes(config, was)
      config = config.replace(was, is)
    }
    writeFileSync(machine.config, config)
    url = (await machine.daemon('--deadline', '1m')).url
    shell = await shellAt(url)
  })
  after(async () => {
    machine?.remove()
  }, SLOW)

  /** With the variables that the README sets, but for the address, which is none that a test may take. */
  const shellAt = async (at: string) => {
    const names = settings.map((line) => line.split('=')[0])
    // Where it sets `job`, too: these tests have jobs of their own.
    assertEquals(
      names.filter((name) => name !== 'job'),
      ['url', 'auth', 'json'],
    )
    const made = new Shell(machine.home, { ...machine.env })
    const variables = { ...machine.env, url: at }
    const [auth, json] = [await made.value(settings, 'auth'), await made.value(settings, 'json')]
    assert(/^Authorization: Bearer \S+$/.test(auth), auth)
    made.variables = { ...variables, auth, json }
    return made
  }
  const ask = async (method: 'GET' | 'POST', path: string, body?: object) => {
    const [name = '', value = ''] = (shell.variables.auth as string).split(': ')
    const init = { method, headers: { [name]: value, 'content-type': 'application/json' } }
    const response = await fetch(`${url}${path}`, {
      ...init,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return response.json()
  }

  /** Holds each answer against the README and against the service's own description. */
  const check = ({ method, path, response, text }: Answered, { command, comment }: Line) => {
    const operation = `${method} ${templateOf(path)}`
    tried.add(operation)
    const told = `${command} -> ${response.status} ${text.slice(0, 500)}`
    const isWaited = /"(wait|dryRun)":true/.test(command)
    assertEquals(response.status, isWaited ? 200 : (STATUS[operation] ?? 200), told)
    const named = [...comment.matchAll(/\b[1-5]\d\d\b/g)].map(([status]) => Number(status))
    assert(named.length === 0 || named.includes(response.status), `${told}\nbut the README says ${comment}`)
    // The description does not describe itself; another test compares it.
    return path === '/openapi.json' ? JSON.parse(text) : holdAgainst(method, path, response, text).body
  }
  const find = (part: string) => {
    const line = calls.find(({ command }) => command.includes(part))
    assert(line !== undefined, `the README has no call with ${part}`)
    return line
  }

  it('describes itself as these tests do', SLOW, async () => {
    const [answer] = await shell.run(find('/openapi.json').command)
    assertEquals(JSON.parse(answer?.text ?? ''), JSON.parse(JSON.stringify(DOCUMENT)))
  })

  it('answers each of its lines as its comments say', SLOW, async () => {
    for (const line of calls) {
      if (line.command.includes('/warm/events')) continue
      const answers = await shell.run(line.command)
      assertEquals(answers.length, line.command.split(/\bcurl /).length - 1, line.command)
      for (const answer of answers) {
        const body = check(answer, line)
        // As `# 202 {"success":true,…}` shows it.
        if (line.comment.includes('{"success"')) {
          const names = [...line.comment.matchAll(/"(\w+)":/g)].map(([, name]) => name)
          assertEquals(Object.keys(body).sort(), names.sort())
        }
        const id: string | undefined = body.job_id
        if (answer.response.status === 202 && id !== undefined) {
          await until(async () => (await ask('GET', `/warm/jobs/${id}`)).ended_at !== null)
          const job = await ask('GET', `/warm/jobs/${id}`)
          assertEquals(['success', 'skipped'].includes(job.status), true, JSON.stringify(job))
          shell.variables.job ??= id
        }
      }
      for (const [part, comment, was, is] of ALSO) {
        if (!line.command.includes(part)) continue
        assertStringIncludes(line.comment, comment)
        assertStringIncludes(line.command, was)
        const [also] = await shell.run(line.command.replace(was, is))
        const body = check(also as Answered, { command: `${is} in ${line.command}`, comment: '' })
        if (part === '/warm/clear') assert(body.deleted > 0, JSON.stringify(body))
      }
    }
  })

  it('streams events', SLOW, async () => {
    const line = find('/warm/events')
    const stream = shell.listen(line.command)
    try {
      await until(async () => {
        await ask('POST', '/warm/run', { tasks: ['films'], wait: true })
        const types = typesIn(stream.answer()?.text ?? '')
        return ['job_started', 'key', 'job_ended'].every((type) => types.has(type))
      })
      const { response, text } = stream.answer() ?? { response: new Response(null, { status: 404 }), text: '' }
      assertEquals([response.status, response.headers.get('content-type')], [200, 'text/event-stream'])
      assert(!typesIn(text).has('batch'), 'only what was asked for')
      tried.add('GET /warm/events')
    } finally {
      await stream.end()
    }
  })

  it('leaves no route out', SLOW, async () => {
    const all = Object.entries(DOCUMENT.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    // It names the page above the block.
    const page = await fetch(`${url}/docs`, { headers: { authorization: (shell.variables.auth as string).slice(15) } })
    assertEquals([page.status, page.headers.get('content-type')?.split(';')[0]], [200, 'text/html'])
    assertEquals(
      all.filter((operation) => !tried.has(operation)),
      [],
    )
  })

  it('warms what is predicted, where somebody has read', SLOW, async () => {
    const server = await startRedisServer()
    const clock = systemClock(currentRuntime().nowNs)
    const commands = new RedisCommands({ url: server.url, clock })
    let instance: Instance | undefined
    try {
      const access = new AccessLog({ commands, clock })
      for (const key of ['film:3', 'film:3', 'film:7', 'nobody:s']) access.record(key)
      await access.flush()
      machine.env.REDIS_URL = server.url
      instance = await serve(machine)
      const line = find('/warm/trigger-predictive')
      const [answer] = await (await shellAt(instance.url)).run(line.command)
      assert(answer !== undefined)
      const { response, text } = answer
      assertEquals(response.status, 202, text)
      assertStringIncludes(line.comment, '202')
      const { body } = holdAgainst('POST', '/warm/trigger-predictive', response, text)
      assertEquals([body.matched_keys, body.keys], [2, ['film:3', 'film:7']])
    } finally {
      delete machine.env.REDIS_URL
      await instance?.end('SIGKILL')
      await commands.close()
      await server.stop()
    }
  })

  it('ends, and leaves nothing', SLOW, async () => {
    const { answer } = await machine.json('daemon', 'stop')
    assertEquals(answer.state, 'stopped')
    assertEquals(stampOf(answer.pid), null)
  })
})
