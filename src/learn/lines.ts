/** A longer line is cut: nothing of a log is. In characters. */
const MAX_LINE = 65_536

/** The lines of a text in UTF-8, some at a time, without their ends. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  // Takes a byte order mark away.
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = (lines.pop() as string).slice(0, MAX_LINE)
    if (lines.length > 0) yield lines.map(clean)
  }
  rest += decoder.decode()
  if (rest !== '') yield [clean(rest)]
}

function clean(line: string): string {
  const whole = line.endsWith('\r') ? line.slice(0, -1) : line
  return whole.length > MAX_LINE ? whole.slice(0, MAX_LINE) : whole
}

/** Texts that are held for long: each once, and without the chunk of the file that it was cut from. */
export class OwnTexts {
  readonly #capacity: number
  readonly #encoder = new TextEncoder()
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #texts = new Map<string, string>()

  /** @param capacity texts that are known; where there are more, it begins anew */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  of(text: string): string {
    let own = this.#texts.get(text)
    if (own === undefined) {
      own = this.#decoder.decode(this.#encoder.encode(text))
      if (this.#texts.size >= this.#capacity) this.#texts.clear()
      this.#texts.set(own, own)
    }
    return own
  }
}
