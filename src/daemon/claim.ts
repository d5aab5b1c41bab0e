import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isRunning } from './process.ts'

/** Who holds a file. */
export interface Owner {
  pid: number
  /** As `stampOf` has it: a process that was given the pid later does not count as this one. */
  stamp: string
}

export type Claimed<T extends Owner> =
  /** `release` removes the file if it is still ours. */
  { mine: true; release(): void } | { mine: false; holder: T }

const ATTEMPTS = 10

/**
 * Makes `file` ours unless a living process holds it; what a dead one left is taken over. Of any number of processes that
 * try at the same time one wins.
 *
 * The file appears with all its text at once (a link to a draft, which fails where the file is there). A dead holder's is
 * only removed by whoever holds `<file>.break`, so nobody removes what another has just taken over.
 */
export function claim<T extends Owner>(file: string, own: T): Claimed<T> {
  const draft = `${file}.${own.pid}.${randomBytes(4).toString('hex')}`
  const text = JSON.stringify(own)
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx' })
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (link(draft, file)) return { mine: true, release: () => release(file, text) }
      const holder = livingOwner<T>(file)
      if (holder !== null) return { mine: false, holder }
      const breaking = `${file}.break`
      if (!link(draft, breaking)) {
        const breaker = livingOwner<T>(breaking)
        if (breaker !== null) return { mine: false, holder: breaker }
        rmSync(breaking, { force: true })
        continue
      }
      try {
        if (livingOwner(file) === null) rmSync(file, { force: true })
        if (link(draft, file)) return { mine: true, release: () => release(file, text) }
      } finally {
        rmSync(breaking, { force: true })
      }
    }
    throw new Error(`${file} comes and goes: somebody else removes it`)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Who is written in `file`, alive or not; null if it is not there or holds something else. */
export function readOwner<T extends Owner>(file: string): T | null {
  try {
    const owner = JSON.parse(readFileSync(file, 'utf8')) as Partial<Owner> | null
    return typeof owner?.pid === 'number' && typeof owner.stamp === 'string' ? (owner as T) : null
  } catch {
    return null
  }
}

/** Who holds `file`; null if nobody does that lives. */
export function livingOwner<T extends Owner>(file: string): T | null {
  const owner = readOwner<T>(file)
  return owner !== null && isRunning(owner) ? owner : null
}

function release(file: string, text: string): void {
  try {
    if (readFileSync(file, 'utf8') === text) rmSync(file)
  } catch {
    // it is gone already
  }
}

function link(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return false
    throw error
  }
}
