/** What the docstrings of `src/config/` promise, field by field. */
import { parseDuration } from '../../src/config/duration.ts'
import { sourceOf } from '../support/source.ts'

export interface Documented {
  /** The values in `@default`, in their order: durations as ms, names of other fields left out. */
  defaults: unknown[] | null
  /** From `0 to 20`. */
  bounds: [number, number] | null
}

/** Fields by path, such as `TaskOptions.ttl` and `ConfigDefinition.startup.delayMs`. */
export function documentedFields(file = 'src/config/define.ts'): Map<string, Documented> {
  const fields = new Map<string, Documented>()
  const place: string[] = []
  let doc = ''
  for (const line of sourceOf(file).split('\n')) {
    const opened = /^export interface (\w+)|^ {2}(\w+)\?: \{$/.exec(line)
    const field = /^ +(\w+)\??: /.exec(line)?.[1]
    if (/^\s*\/?\*/.test(line)) doc = `${doc}\n${line}`
    else {
      if (opened !== null) place.push((opened[1] ?? opened[2]) as string)
      else if (/^ *\}$/.test(line)) place.pop()
      else if (field !== undefined && place.length > 0) fields.set([...place, field].join('.'), read(doc))
      if (!line.trim().startsWith('//')) doc = ''
    }
  }
  return fields
}

function read(doc: string): Documented {
  const [before = '', after] = doc.replace(/\*\/|^\s*\*/gm, ' ').split('@default')
  const bounds = /(-?[\d_.]+) to (-?[\d_]+)/.exec(before)
  return {
    defaults: after === undefined ? null : literals(after.replace(/\(the [^)]*\)/, '')),
    bounds: bounds === null ? null : [number(bounds[1] as string), number(bounds[2] as string)],
  }
}

function literals(text: string): unknown[] {
  return [...text.matchAll(/'([^']*)'|\b(\d[\d_.]*)\b|\b(true|false)\b|(\[\]|\{\})/g)].map(
    ([, quoted, digits, truth, empty]) => {
      if (quoted !== undefined) return parseDuration(quoted) ?? quoted
      if (digits !== undefined) return number(digits)
      return JSON.parse((truth ?? empty) as string)
    },
  )
}

function number(text: string): number {
  return Number(text.replaceAll('_', ''))
}
