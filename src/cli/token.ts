import { type Command, Option } from 'commander'
import { sign } from 'hono/jwt'
import { type JwtSettings, settleService } from '../config/service-settings.ts'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import { secretKey } from '../server/access/keys.ts'
import { PrewarmCommand } from './command.ts'
import { type Cli, settle } from './context.ts'
import { durationOf } from './values.ts'

interface TokenFlags {
  config?: string
  scope: string[]
  ttl: number
  subject: string
  json?: boolean
}

const SCOPES = ['warm:read', 'warm:write']
/** 1 s to 30 days. */
const TTL_MS = [1000, 30 * 86_400_000, false] as const

/** `prewarm token` */
export function tokenCommand(cli: Cli): Command {
  return new PrewarmCommand('token')
    .description('Print a token for the HTTP API, signed with PREWARM_JWT_SECRET (or control.jwt.secret)')
    .option('--config <FILE>', 'configuration file (default: prewarm.config.ts, .js or .mjs here, if there is one)')
    .addOption(
      new Option('--scope <SCOPE...>', 'what it allows; warm:write includes warm:read')
        .choices(SCOPES)
        .default(['warm:read'], 'warm:read'),
    )
    .addOption(
      new Option('--ttl <TIME>', 'how long it is valid')
        .argParser(durationOf('--ttl', TTL_MS))
        .default(3_600_000, '1h'),
    )
    .option('--subject <NAME>', 'who bears it: rate limits are counted by this', 'cli')
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm token --scope warm:write --ttl 1h')
    .action(async (flags: TokenFlags) => {
      const { token, expiresAt } = await mint(await jwtOf(cli, flags), flags, Date.now())
      await cli.io.answer(flags.json === true ? JSON.stringify({ token, expires_at: expiresAt }) : token)
    })
}

/** From the configuration; where there is none, from the environment alone. */
async function jwtOf(cli: Cli, { config }: TokenFlags): Promise<JwtSettings | undefined> {
  try {
    return (await settle(cli, config === undefined ? {} : { config })).settings.control.jwt
  } catch (error) {
    if (config !== undefined || !isPrewarmError(error) || error.code !== 'CONFIG_NOT_FOUND') throw error
    return settleService({}, cli.runtime.env.PREWARM_JWT_SECRET || undefined).control.jwt
  }
}

async function mint(
  jwt: JwtSettings | undefined,
  { scope, ttl, subject }: TokenFlags,
  nowMs: number,
): Promise<{ token: string; expiresAt: string }> {
  if (subject.trim() === '' || subject.length > 256) {
    throw new PrewarmError('USAGE', `--subject has ${subject.length} characters, expected 1 to 256, not all blank`)
  }
  const { algorithm, secret, issuer, audience } = jwt ?? { algorithm: 'HS256', secret: undefined }
  if (algorithm !== 'HS256') {
    throw new PrewarmError(
      'CONFIG_INVALID',
      `control.jwt.algorithm is '${algorithm}', expected 'HS256': only who has the private key of the public ones in control.jwt can mint a token`,
    )
  }
  const key = await secretKey(secret, 'sign')
  const issuedAt = Math.floor(nowMs / 1000)
  const expiresAt = issuedAt + Math.ceil(ttl / 1000)
  const claims = {
    sub: subject,
    scope: [...new Set(scope)].join(' '),
    iat: issuedAt,
    exp: expiresAt,
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(audience === undefined ? {} : { aud: audience }),
  }
  return { token: await sign(claims, key, 'HS256'), expiresAt: new Date(expiresAt * 1000).toISOString() }
}
