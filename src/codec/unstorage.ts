import { PrewarmError } from '../errors.ts'
import { heldText } from './held.ts'
import { jsonText } from './json.ts'
import type { Codec } from './types.ts'

/**
 * What unstorage 1 stores: objects as JSON, text and other scalars as they are. Text that `getItem` would take for something
 * else (`'123'`, `'true'`, `'{'`) is stored as JSON text, so that it stays text. `null` means "not there" and is refused.
 */
export const unstorageCodec: Codec = {
  name: 'unstorage',
  encode(value, { key }) {
    checkUnstorageKey(key, 'unstorage')
    return { type: 'string', value: textOf(value) }
  },
  decode: (held) => parsed(heldText(held, 'unstorage')),
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return parsed(value) === value ? value : JSON.stringify(value)
  if (typeof value === 'number') return parsed(String(value)) === value ? String(value) : value.toExponential()
  const text = unstorageJson(value, 'unstorage')
  if (text !== 'null') return text
  throw new PrewarmError('VALUE_INVALID', 'Cannot encode unstorage: value is null, which it reads as "not there"')
}

const WORDS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['undefined', undefined],
  ['nan', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
])
const LOOKS_LIKE_JSON = /^\s*["[{]|^\s*-?\d{1,16}(\.\d{1,17})?(e[+-]?\d+)?\s*$/i

/** A stored text as `getItem` gives it. */
function parsed(text: string): unknown {
  if (text.startsWith('"') && text.endsWith('"') && !text.includes('\\')) return text.slice(1, -1)
  const word = text.trim().toLowerCase()
  if (WORDS.has(word)) return WORDS.get(word)
  if (!LOOKS_LIKE_JSON.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** JSON that unstorage reads back whole: it drops properties that could pollute a prototype. */
export function unstorageJson(value: unknown, form: string): string {
  const text = jsonText(value, form)
  if (/"(?:__proto__|constructor)":/.test(text)) {
    JSON.parse(text, (name, part) => {
      const isDropped = name === '__proto__' || (name === 'constructor' && part !== null && hasPrototype(part))
      if (!isDropped) return part
      throw new PrewarmError('VALUE_INVALID', `Cannot encode ${form}: its reader drops a property named '${name}'`)
    })
  }
  return text
}

function hasPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'prototype' in value
}

/**
 * unstorage reads `a/b`, `a\b`, `a::b`, `:a:b` and `a:b?c` all as `a:b`.
 *
 * @throws {PrewarmError} `KEY_INVALID` for a key that it would look for under another name
 */
export function checkUnstorageKey(key: string, form: string): void {
  if (!/[/\\?]|::|^:|:$|(^|:)\.{1,2}(:|$)/.test(key)) return
  const why = "unstorage never asks for a key with '/', '\\', '?', '::', a ':' at its ends, or a part '.' or '..'"
  throw new PrewarmError('KEY_INVALID', `Cannot encode ${form}: key '${key}': ${why}`)
}
