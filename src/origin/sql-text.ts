import { PrewarmError } from '../errors.ts'

/** SQL text with `$1`, `$2` … for its parameters, and the parameters' names in that order. */
export interface NamedSql {
  text: string
  names: string[]
}

/**
 * What may look like a parameter and is not, then what is one:
 * comments, `E'…'`, `'…'`, `"…"`, `$tag$…$tag$`, `::`, `$1`, `;`, `:name` (not in a slice such as `a[lo:hi]`).
 */
const TOKEN =
  /--[^\n]*|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*)|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*))*\*\/)*\*\/|(?<!\w)[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?\$\k<tag>\$|::|\$\d+|;|(?<![\w\])]):(?<name>[A-Za-z_]\w*)/g

/**
 * Turns `:name` into `$n`, so that values are bound, never spliced. Comments and a trailing `;` are dropped.
 *
 * @throws {PrewarmError} `CONFIG_INVALID` if the text has a `$1` of its own or holds a second statement
 */
export function namedSql(source: string): NamedSql {
  const names: string[] = []
  let text = ''
  let end = 0
  let ended = false
  const take = (piece: string) => {
    if (ended && piece.trim() !== '') {
      throw new PrewarmError('CONFIG_INVALID', 'Query holds more than one statement: a task has exactly one')
    }
    text += piece
  }
  for (const found of source.matchAll(TOKEN)) {
    const token = found[0]
    take(source.slice(end, found.index))
    end = found.index + token.length
    const { name } = found.groups ?? {}
    if (name !== undefined) {
      if (!names.includes(name)) names.push(name)
      take(`$${names.indexOf(name) + 1}`)
    } else if (token.startsWith('--') || token.startsWith('/*')) take(' ')
    else if (token === ';') ended = true
    else if (/^\$\d/.test(token)) {
      throw new PrewarmError('CONFIG_INVALID', `Query uses ${token}: name its parameters instead, such as :limit`)
    } else take(token)
  }
  take(source.slice(end))
  return { text: text.trim(), names }
}
