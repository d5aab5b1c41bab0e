import { PrewarmError } from '../errors.ts'
import { keyTemplate } from '../keyspace/template.ts'

/** Paths such as `/films/{id}`, and the template of the key that is read for them. */
export interface PathMapping {
  path: string
  key: string
}

/** The key that is read for a path; null where no mapping is for it. */
export type KeyOfPath = (target: string) => string | null

const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_]*)\}/g

/**
 * Makes keys of paths, by the first mapping that fits. A placeholder stands for one or more characters without `/`, which are
 * taken as decoded. Query and fragment are cut off before, and scheme and host of a whole URL.
 *
 * @throws {PrewarmError} `USAGE` for a mapping that can't be met, naming it
 */
export function pathMap(mappings: readonly PathMapping[]): KeyOfPath {
  const all = mappings.map(mapping)
  return (target) => {
    const path = pathOf(target)
    for (const one of all) {
      const key = one(path)
      if (key !== null) return key
    }
    return null
  }
}

/** The path of a request's target. */
export function pathOf(target: string): string {
  const path = target.replace(/[?#].*$/s, '').replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
  return path === '' ? '/' : path
}

function mapping({ path, key }: PathMapping): KeyOfPath {
  const shown = `'${path}' to '${key}'`
  if (!path.startsWith('/')) throw new PrewarmError('USAGE', `Cannot map ${shown}: the path must begin with '/'`)
  const names = [...path.matchAll(PLACEHOLDER)].map(([, name]) => name as string)
  const texts = path.split(/\{[A-Za-z_][A-Za-z0-9_]*\}/)
  if (texts.some((text) => /[{}]/.test(text)))
    throw new PrewarmError('USAGE', `Cannot map ${shown}: a placeholder is '{name}', name of letters, digits and '_'`)
  if (texts.slice(1, -1).includes(''))
    throw new PrewarmError('USAGE', `Cannot map ${shown}: put text between two placeholders`)
  if (new Set(names).size < names.length)
    throw new PrewarmError('USAGE', `Cannot map ${shown}: each name may stand once in the path`)
  const template = keyTemplateOf(key, shown)
  const missing = template.names.find((name) => !names.includes(name))
  if (missing !== undefined)
    throw new PrewarmError('USAGE', `Cannot map ${shown}: {${missing}} is not in the path: add it there`)
  return (target) => {
    const values = valuesIn(target, texts)
    if (values === null) return null
    try {
      return template.format(
        Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(values[at] as string)])),
      )
    } catch {
      // What can't be decoded, or is longer than any key.
      return null
    }
  }
}

function keyTemplateOf(key: string, shown: string) {
  try {
    return keyTemplate(key)
  } catch (error) {
    throw new PrewarmError('USAGE', `Cannot map ${shown}: ${(error as Error).message}`)
  }
}

/**
 * What stands between `texts`, each as short as can be; null where the path is of another form. Its time grows with the path
 * alone, whatever that is: paths come from strangers, and a regular expression could be held up.
 */
function valuesIn(path: string, [first = '', ...rest]: readonly string[]): string[] | null {
  if (!path.startsWith(first)) return null
  const values: string[] = []
  let from = first.length
  for (const [index, text] of rest.entries()) {
    const isLast = index === rest.length - 1
    if (isLast && !path.endsWith(text)) return null
    const to = isLast ? path.length - text.length : path.indexOf(text, from + 1)
    const value = path.slice(from, Math.max(from, to))
    if (value === '' || value.includes('/')) return null
    values.push(value)
    from = to + text.length
  }
  return from === path.length ? values : null
}
