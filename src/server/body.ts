import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { isPrewarmError, PrewarmError } from '../errors.ts'
import type { ControlEnv } from './access/index.ts'

/** Bytes of a request's body. */
export const MAX_BODY_BYTES = 65_536

/** Lists and objects within each other. */
const MAX_DEPTH = 32

const tooLarge = (maxBytes: number) =>
  new PrewarmError('BODY_TOO_LARGE', `The body is larger than ${maxBytes} bytes: send fewer keys at once`)

const broken = () => new PrewarmError('REQUEST_INVALID', 'The body broke off: send it again')

/**
 * Lets only bounded, well-formed JSON through to the validators.
 *
 * @param optional nothing at all is fine, too, and means `{}`
 */
export function jsonBody({ optional = false, maxBytes = MAX_BODY_BYTES } = {}): MiddlewareHandler<ControlEnv>[] {
  const limit = bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw tooLarge(maxBytes)
    },
  })
  const check: MiddlewareHandler<ControlEnv> = async (c, next) => {
    const type = c.req.header('content-type')
    const text = await c.req.text().catch(() => {
      throw broken()
    })
    if (text === '' && type === undefined && optional) return next()
    // `+json` types are other formats, whatever their syntax.
    if (!/^application\/json\s*(;|$)/i.test(type ?? '')) {
      const given = type === undefined ? 'missing' : `'${type.slice(0, 100)}'`
      throw new PrewarmError('CONTENT_TYPE', `content-type is ${given}: send application/json`)
    }
    if (text === '' && optional) {
      // Many clients name the type also where they send nothing. The validators read this.
      c.req.bodyCache.text = Promise.resolve('{}') as never
      return next()
    }
    // A length that was declared too small.
    if (text.length > maxBytes) throw tooLarge(maxBytes)
    checkJson(text)
    return next()
  }
  const bounded: MiddlewareHandler<ControlEnv> = async (c, next) => {
    let isRead = false
    const goOn = () => {
      isRead = true
      return next()
    }
    try {
      return await limit(c, goOn)
    } catch (error) {
      throw isRead || isPrewarmError(error) ? error : broken()
    }
  }
  return [bounded, check]
}

function checkJson(text: string): void {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw new PrewarmError(
      'REQUEST_INVALID',
      text === '' ? 'The body is empty: send a JSON object' : 'The body is not JSON',
    )
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new PrewarmError('REQUEST_INVALID', 'The body is JSON, but not an object: send { … }')
  checkShape(body)
}

/** Not recursive: the depth is what it is looking for. */
function checkShape(body: object): void {
  let level: object[] = [body]
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH)
      throw new PrewarmError('REQUEST_INVALID', `The body is nested more than ${MAX_DEPTH} deep: send less of it`)
    const below: object[] = []
    for (const one of level) {
      if (Object.hasOwn(one, '__proto__'))
        throw new PrewarmError('REQUEST_INVALID', '__proto__ is no name that a field can have: leave it out')
      for (const value of Object.values(one)) if (typeof value === 'object' && value !== null) below.push(value)
    }
    level = below
  }
}
