import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, it } from 'node:test'
import { assert, assertEquals, assertMatch, assertRejects } from '@std/assert'
import type { Cli } from '../../src/cli/context.ts'
import { tokenCommand } from '../../src/cli/token.ts'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import { currentRuntime } from '../../src/runtime/index.ts'
import { appWith, bearer, jwtSettings, SECRET } from '../access/support.ts'
import { FakeClock } from '../fakes/clock.ts'
import { tempFolder } from '../support/warming.ts'

const settingsOf = (changes = {}) => ({ settings: { jwt: jwtSettings(changes) }, clock: new FakeClock(Date.now()) })

describe('prewarm token', () => {
  let folder: string
  let env: Record<string, string>
  let answers: string[]
  let notes: string[]

  beforeEach(() => {
    folder = tempFolder()
    env = { PREWARM_JWT_SECRET: SECRET }
    answers = []
    notes = []
  })

  /** Runs it in `folder`, with `env` alone. */
  const run = async (...args: string[]) => {
    const runtime = { ...currentRuntime(), env, resolvePath: (path: string) => join(folder, path) }
    const io: Cli['io'] = {
      isLive: false,
      columns: 80,
      answer: async (text) => void answers.push(text),
      note: (line) => void notes.push(line),
      live: () => {},
      paint: (_, text) => text,
    }
    const command = tokenCommand({ io, runtime, argv: ['token', ...args], tasks: undefined })
    command
      .exitOverride()
      .configureOutput({ writeErr: (text) => void notes.push(text), writeOut: (text) => void notes.push(text) })
    await command.parseAsync(args, { from: 'user' })
    return answers.at(-1) as string
  }
  const configure = (control: ConfigDefinition['control']) =>
    writeFileSync(
      join(folder, 'prewarm.config.ts'),
      `import { defineConfig, load } from 'prewarm'
export default defineConfig({ control: ${JSON.stringify(control)}, tasks: { one: load({ key: 'k:{id}', load: () => [] }) } })\n`,
    )
  const claimsOf = (token: string) =>
    JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))
  const refusal = async (...args: string[]) => {
    const error = await assertRejects(() => run(...args), PrewarmError)
    assertEquals(answers, [])
    assert(!error.message.includes(SECRET) && !notes.join().includes(SECRET))
    return [error.code, error.message] as const
  }

  it('prints a token that the API accepts, and nothing else', async () => {
    const token = await run('--scope', 'warm:write', '--ttl', '1h')
    assertMatch(token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    const { sub, scope, iat, exp, ...rest } = claimsOf(token)
    assertEquals([sub, scope, exp - iat, rest, notes], ['cli', 'warm:write', 3600, {}, []])
    const { ask } = appWith(settingsOf())
    assertEquals((await ask('/warm/run', bearer(token), 'POST')).status, 200)
    assertEquals((await ask('/warm/status', bearer(token))).status, 200)
  })

  it('gives leave to read where nothing else is asked for', async () => {
    const { ask } = appWith(settingsOf())
    const headers = bearer(await run())
    assertEquals(
      [(await ask('/warm/status', headers)).status, (await ask('/warm/run', headers, 'POST')).status],
      [200, 403],
    )
  })

  it('takes several scopes, a subject and a time', async () => {
    const claims = claimsOf(await run('--scope', 'warm:read', 'warm:write', '--subject', 'deploy', '--ttl', '90s'))
    assertEquals([claims.scope, claims.sub, claims.exp - claims.iat], ['warm:read warm:write', 'deploy', 90])
  })

  it('--json prints one object with when it expires', async () => {
    const { token, expires_at: expiresAt, ...rest } = JSON.parse(await run('--json'))
    assertEquals([new Date(claimsOf(token).exp * 1000).toISOString(), rest], [expiresAt, {}])
  })

  it('bears the issuer and the audience of the configuration', async () => {
    const secret = `${SECRET} of the file`
    configure({ jwt: { algorithm: 'HS256', secret, issuer: 'me', audience: 'prewarm' } })
    const token = await run('--config', 'prewarm.config.ts')
    assertEquals([claimsOf(token).iss, claimsOf(token).aud], ['me', 'prewarm'])
    const { ask } = appWith(settingsOf({ secret, issuer: 'me', audience: 'prewarm' }))
    assertEquals((await ask('/warm/status', bearer(token))).status, 200)
    assertEquals(
      await run()
        .then(claimsOf)
        .then((claims) => claims.iss),
      'me',
    )
  })

  it('without a secret, or with a short one, says what to do', async () => {
    env = {}
    assertEquals(await refusal(), [
      'CONFIG_INVALID',
      'control.jwt.secret is missing: set PREWARM_JWT_SECRET to at least 32 random bytes, such as `openssl rand -base64 48` prints',
    ])
    env = { PREWARM_JWT_SECRET: 'q'.repeat(31) }
    const [code, message] = await refusal()
    assertEquals(code, 'CONFIG_INVALID')
    assert(message.startsWith('control.jwt.secret is shorter than 32 bytes') && !message.includes('qq'))
  })

  it('with keys that others hold says who mints tokens', async () => {
    configure({ jwt: { algorithm: 'RS256', jwksFile: 'keys.json' } })
    const [code, message] = await refusal()
    assertEquals(code, 'CONFIG_INVALID')
    assertMatch(message, /^control\.jwt\.algorithm is 'RS256', expected 'HS256'/)
  })

  it('a time out of bounds, no subject and a file that is not there are mistakes', async () => {
    for (const ttl of ['0', '999', '31d', '1', 'x', '-1h'])
      assertMatch(
        (await refusal(`--ttl=${ttl}`))[1],
        new RegExp(`^--ttl is '${ttl}', expected ms .* from 1000 to 2592000000 ms$`),
      )
    for (const subject of ['', ' ', 'x'.repeat(257)]) assertEquals((await refusal('--subject', subject))[0], 'USAGE')
    assertEquals((await refusal('--config', 'other.ts'))[0], 'CONFIG_NOT_FOUND')
  })

  it('a scope that is none is refused', async () => {
    for (const scope of ['warm', 'warm:*', 'warm:read,warm:write'])
      assertMatch(
        (await assertRejects(() => run('--scope', scope), Error)).message,
        /Allowed choices are warm:read, warm:write/,
      )
    assertEquals(answers, [])
  })

  it('takes no secret as a flag', async () => {
    for (const flag of ['--secret', '--jwt-secret', '--key'])
      await assertRejects(() => run(flag, SECRET), Error, 'unknown option')
    assert(!notes.join().includes(SECRET))
  })
})
