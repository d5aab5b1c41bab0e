import { AssertionError } from 'node:assert'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { MiddlewareHandler } from 'hono'
import type { ConfigDefinition } from '../../src/config/define.ts'
import { PrewarmError } from '../../src/errors.ts'
import type { Access, ControlEnv } from '../../src/server/access/index.ts'
import { type ControlOptions, type ControlPlane, controlPlane } from '../../src/server/index.ts'
import { FakeFacade } from '../fakes/facade.ts'

/** What the middleware was asked, in order: `GET /warm/status needs warm:read`. */
export class FakeAccess implements Access {
  readonly asked: string[] = []
  /** Scopes of whoever calls; null: there is no token. */
  scopes: string[] | null = ['warm:read', 'warm:write']
  isLimited = false
  /** When the caller's token expires, ms since 1970. */
  expiresAtMs: number | undefined

  guard: MiddlewareHandler<ControlEnv> = async (c, next) => {
    await next()
    c.res.headers.set('x-guarded', 'yes')
  }

  needs = (scope: 'warm:read' | 'warm:write'): MiddlewareHandler<ControlEnv> => {
    return async (c, next) => {
      this.asked.push(`needs ${scope}`)
      c.set('expiresAtMs', this.expiresAtMs)
      if (this.scopes === null) throw new PrewarmError('UNAUTHENTICATED', 'There is no token')
      if (!this.scopes.includes(scope)) throw new PrewarmError('FORBIDDEN', `The token lacks the scope ${scope}`)
      await next()
    }
  }

  limits = (bucket: string): MiddlewareHandler<ControlEnv> => {
    return async (_c, next) => {
      this.asked.push(`limits ${bucket}`)
      if (this.isLimited) throw new PrewarmError('RATE_LIMITED', 'Too many requests')
      await next()
    }
  }
}

export interface Setup {
  warmer: FakeFacade
  access: FakeAccess
  app: ControlPlane
  /** What was answered with 500. */
  errors: unknown[]
  /** Ends event streams. */
  stop: AbortController
}

export function setup(options: Partial<ControlOptions> = {}, definition: Partial<ConfigDefinition> = {}): Setup {
  const warmer = new FakeFacade(definition)
  const access = new FakeAccess()
  const errors: unknown[] = []
  const stop = new AbortController()
  const onError = (error: unknown) => void errors.push(error)
  const app = controlPlane(warmer, { access, clock: warmer.clock, signal: stop.signal, onError, ...options })
  return { warmer, access, app, errors, stop }
}

// biome-ignore lint/suspicious/noExplicitAny: an answer's body is what a test says it is
type Body = any

export interface Answer {
  status: number
  headers: Headers
  body: Body
}

interface Operation {
  responses: Record<string, { content?: Record<string, { schema?: object }> }>
}

export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object> }
}

/** The description of the API: what every answer of this suite is held against. */
export const DOCUMENT = (await (await setup().app.request('/openapi.json')).json()) as Document

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
ajv.addSchema({ $id: 'doc', ...DOCUMENT })
const validators = new Map<string, ValidateFunction>()

/**
 * Sends a request, and holds its answer against the description: the status must be documented for the operation, the
 * content type too, and the body must fit its schema. What is not described must be answered with a problem.
 */
export async function send(
  { app }: Pick<Setup, 'app'>,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const isText = typeof body === 'string' || body instanceof ReadableStream || body === undefined
  const response = await app.request(path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isText ? (body as BodyInit) : JSON.stringify(body) }),
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  } as RequestInit)
  const text = await response.text()
  return holdAgainst(method, path, response, text)
}

export function holdAgainst(method: string, path: string, response: Response, text: string): Answer {
  const type = (response.headers.get('content-type') ?? '').split(';')[0] as string
  const answer: Answer = {
    status: response.status,
    headers: response.headers,
    body: type.endsWith('json') ? JSON.parse(text) : text,
  }
  const pointer = schemaFor(method, path.split('?')[0] as string, response.status, type)
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `doc${pointer}` })
  validators.set(pointer, validate)
  if (!validate(answer.body as unknown)) {
    fail(`${method} ${path} ${response.status} does not fit ${pointer}: ${ajv.errorsText(validate.errors)}\n${text}`)
  }
  if (type === 'application/problem+json' && answer.body.status !== response.status)
    fail(`a problem of status ${response.status} says ${answer.body.status}`)
  return answer
}

function schemaFor(method: string, path: string, status: number, type: string): string {
  const known = Object.keys(DOCUMENT.paths).find((one) => templateOf(one).test(path))
  const operation = known === undefined ? undefined : DOCUMENT.paths[known]?.[method.toLowerCase()]
  if (operation === undefined) {
    if (type !== 'application/problem+json' || (status !== 404 && status !== 405))
      fail(`${method} ${path} is not described, and is answered with ${status} ${type}`)
    return '#/components/schemas/Problem'
  }
  const response = operation.responses[status]
  if (response === undefined) fail(`${method} ${path}: the status ${status} is not documented`)
  if (response?.content?.[type]?.schema === undefined) fail(`${method} ${path} ${status}: ${type} is not documented`)
  const steps = ['paths', known as string, method.toLowerCase(), 'responses', `${status}`, 'content', type, 'schema']
  return `#/${steps.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
}

const templateOf = (path: string) => new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`)

function fail(message: string): never {
  throw new AssertionError({ message })
}
