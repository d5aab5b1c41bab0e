import { PrewarmError } from '../errors.ts'

/** The values of a template's placeholders, by name. */
export type KeyParams = Record<string, string>

/** A key template such as `user:{id}:profile`, both ways: `format` and `match` are each other's inverse. */
export interface KeyTemplate {
  readonly source: string
  /** Names of the placeholders, in order of first appearance. */
  readonly names: readonly string[]
  /** A glob (for SCAN) that every key of this template matches. */
  readonly glob: string
  /**
   * The key for these values. Numbers, bigints, booleans and strings are taken, dates in ISO form.
   * Characters that would smuggle a delimiter or a glob are percent-encoded.
   *
   * @throws {PrewarmError} `KEY_INVALID` if a value is missing, null, empty, or not a scalar
   */
  format(values: Readonly<Record<string, unknown>>): string
  /** The placeholders' values (decoded), or null if `key` is not of this template. */
  match(key: string): KeyParams | null
}

type Part = { text: string } | { name: string }

/** Redis takes keys up to 512 MB; a key this long is a mistake. In characters. */
const MAX_KEY_LENGTH = 4096

/** What no value may bring into a key: the usual delimiter, hash-tag braces, glob characters, the escape itself, control characters. */
const ALWAYS_ESCAPED = String.raw`:{}*?[\]\\%\u0000-\u001f\u007f`
const ESCAPE = /%[0-9A-F]{2}/g

/**
 * Parses a key template.
 *
 * @param source literal text with `{name}` placeholders; two placeholders need text between them
 * @throws {PrewarmError} `KEY_INVALID` for unbalanced braces, bad names, adjacent placeholders, globs in the text
 */
export function keyTemplate(source: string): KeyTemplate {
  const parts = parse(source)
  const order = parts.flatMap((part) => ('name' in part ? [part.name] : []))
  const names = [...new Set(order)]
  // A value never contains the character that ends its placeholder, so a key can be read in one way only.
  const unsafe = `[${ALWAYS_ESCAPED}${delimitersOf(parts)}]`
  const unsafeChars = new RegExp(unsafe, 'gu')
  const value = `((?:%[0-9A-F]{2}|${unsafe.replace('[', '[^')})+)`
  const pattern = new RegExp(
    `^${parts.map((part) => ('name' in part ? value : escapeRegExp(part.text))).join('')}$`,
    'u',
  )
  const glob = parts.map((part) => ('name' in part ? '*' : part.text)).join('')

  return {
    source,
    names,
    glob,
    format(values) {
      let key = ''
      for (const part of parts)
        key += 'name' in part ? escapeValue(part.name, values[part.name], source, unsafeChars) : part.text
      if (key.length > MAX_KEY_LENGTH) {
        throw invalid(
          `Cannot format key '${source}': it would be ${key.length} characters long, at most ${MAX_KEY_LENGTH}`,
        )
      }
      return key
    },
    match(key) {
      const found = pattern.exec(key)
      if (found === null) return null
      const params: KeyParams = Object.create(null) as KeyParams
      for (const [index, name] of order.entries()) {
        const text = found[index + 1] as string
        const value = unescapeValue(text, unsafeChars)
        if (value === null || (name in params && params[name] !== value)) return null
        params[name] = value
      }
      return { ...params }
    },
  }
}

function parse(source: string): Part[] {
  const parts: Part[] = []
  let rest = source
  while (rest.length > 0) {
    const open = rest.search(/[{}]/)
    if (open === -1) {
      parts.push({ text: rest })
      break
    }
    if (rest[open] === '}') throw invalid(`Cannot parse key template '${source}': '}' without '{'`)
    if (open > 0) parts.push({ text: rest.slice(0, open) })
    const found = /^\{([A-Za-z_][A-Za-z0-9_]*)\}/.exec(rest.slice(open))
    if (found === null) {
      throw invalid(`Cannot parse key template '${source}': a placeholder is '{name}', name of letters, digits and '_'`)
    }
    const before = parts.at(-1)
    if (before !== undefined && 'name' in before) {
      throw invalid(`Cannot parse key template '${source}': put text between {${before.name}} and {${found[1]}}`)
    }
    parts.push({ name: found[1] as string })
    rest = rest.slice(open + found[0].length)
  }
  if (parts.length === 0) throw invalid('Cannot parse key template: it is empty')
  for (const [index, part] of parts.entries()) {
    if (!('text' in part)) continue
    if (/[*?[\]\\%\u0000-\u001f\u007f]/.test(part.text)) {
      throw invalid(`Cannot parse key template '${source}': none of * ? [ ] \\ % and no control characters in the text`)
    }
    if (index > 0 && /^[A-Za-z0-9]/.test(part.text)) {
      throw invalid(`Cannot parse key template '${source}': put a delimiter such as ':' before '${part.text}'`)
    }
  }
  return parts
}

/** The first character of each text that ends a placeholder. */
function delimitersOf(parts: Part[]): string {
  let delimiters = ''
  for (const [index, part] of parts.entries()) {
    const next = parts[index + 1]
    if ('name' in part && next !== undefined && 'text' in next)
      delimiters += escapeRegExp(String.fromCodePoint(next.text.codePointAt(0) as number))
  }
  return delimiters
}

function escapeValue(name: string, value: unknown, source: string, unsafe: RegExp): string {
  const text = scalarText(value)
  if (text === null || text === '') {
    const shown = value === '' ? "''" : value === null || value === undefined ? String(value) : typeof value
    throw invalid(`Cannot format key '${source}': '${name}' is ${shown}, expected a non-empty scalar`)
  }
  return text.replace(unsafe, percent)
}

function percent(char: string): string {
  let escaped = ''
  for (const byte of new TextEncoder().encode(char)) escaped += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return escaped
}

function unescapeValue(text: string, unsafe: RegExp): string | null {
  if (!text.includes('%')) return text
  if (text.replace(ESCAPE, '').includes('%')) return null
  try {
    const value = decodeURIComponent(text)
    return value.replace(unsafe, percent) === text ? value : null
  } catch {
    return null
  }
}

function scalarText(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? value : null
    case 'number':
      return Number.isFinite(value) ? String(value) : null
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : null
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, (char) => (char === '-' ? '\\x2d' : `\\${char}`))
}

function invalid(message: string): PrewarmError {
  return new PrewarmError('KEY_INVALID', message)
}
