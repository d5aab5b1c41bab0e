import { PrewarmError } from '../errors.ts'
import { TAGGED } from './scripts.ts'

/** A text with the versions of its tags before it; without tags as it is. */
export function withTags(text: string, tags: readonly string[], versions: readonly string[]): string {
  if (tags.length === 0) return text.startsWith(TAGGED) ? `${TAGGED}{}\n${text}` : text
  const header = Object.fromEntries(tags.map((tag, index) => [tag, versions[index]]))
  return `${TAGGED}${JSON.stringify(header)}\n${text}`
}

/** The text, and the tags that it bears. */
export function splitTags(stored: string): { text: string; tags: readonly string[] } {
  const end = stored.startsWith(`${TAGGED}{`) ? stored.indexOf('\n') : -1
  const header = end === -1 ? null : headerOf(stored.slice(1, end))
  return header === null ? { text: stored, tags: [] } : { text: stored.slice(end + 1), tags: Object.keys(header) }
}

/** Null for what only begins like a header: another program's text. */
function headerOf(text: string): object | null {
  try {
    return JSON.parse(text) as object
  } catch {
    return null
  }
}

const MAX_TAGS = 32
const MAX_TAG_LENGTH = 256

/** @throws {PrewarmError} `USAGE` naming the tag */
export function checkTags(tags: readonly string[]): readonly string[] {
  if (!Array.isArray(tags)) throw new PrewarmError('USAGE', `tags is '${tags}', expected a list of texts`)
  if (tags.length > MAX_TAGS)
    throw new PrewarmError('USAGE', `tags has ${tags.length} elements, expected at most ${MAX_TAGS}`)
  for (const tag of tags) {
    if (typeof tag === 'string' && tag !== '' && tag.length <= MAX_TAG_LENGTH && tag.isWellFormed()) continue
    const shown = typeof tag === 'string' ? `'${tag.slice(0, 40)}'` : String(tag)
    throw new PrewarmError('USAGE', `tags holds ${shown}, expected text of 1 to ${MAX_TAG_LENGTH} whole characters`)
  }
  return [...new Set(tags)]
}
