/** The product's own source, as a test of its architecture sees it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')

export interface Import {
  /** A path from the repository's root, a package's name, or `node:…`. */
  target: string
  /** Gone at run time: `import type`, `export type`. */
  isType: boolean
}

/** Every TypeScript file below `folders`, as a path from the root; declarations are not code. */
export function sourceFiles(...folders: string[]): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .sort()
}

export function sourceOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** `source` without its comments. */
export function codeOf(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|\s)\/\/.*$/gm, '$1')
}

const STATIC = /^(?:import|export)\s+(type\s+)?(?:[\w$*\s{},]+?\s+from\s+)?'([^'\n]+)'/gm
const DYNAMIC = /(typeof\s+)?\bimport\(\s*'([^'\n]+)'/g

/** What `source`, the file `path`, imports: statically, again exported, or by `import('…')`. */
export function importsOf(path: string, source: string): Import[] {
  const code = codeOf(source)
  return [...code.matchAll(STATIC), ...code.matchAll(DYNAMIC)].map(([, type, name = '']) => ({
    target: name.startsWith('.') ? posix.join(posix.dirname(path), name) : packageOf(name),
    isType: type !== undefined,
  }))
}

/** Whether `source` imports something whose name only shows at run time. */
export function importsComputed(source: string): boolean {
  return /\bimport\(\s*[^'\s]/.test(codeOf(source))
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')
}
