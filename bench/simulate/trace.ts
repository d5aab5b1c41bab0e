import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { basename } from 'node:path'
import { createGunzip } from 'node:zlib'
import { Mistake } from './failure.ts'

/** Requests in time order. */
export interface Trace {
  name: string
  /** Of the file as it is, packed or not. */
  sha256: string
  /** By request: a place in `keys`. */
  ids: Int32Array
  /** By request: ms, or its number where the file tells no times. */
  times: Float64Array
  keys: string[]
  /** False: `ts_ms` is only the request's number. */
  isTimed: boolean
}

/** @throws {Mistake} for a file that is not there, is no such table, or has no requests */
export async function readTrace(file: string): Promise<Trace> {
  if (!existsSync(file)) throw new Mistake(`--trace ${file}: there is no such file; name a .csv or .csv.gz`)
  const hash = createHash('sha256')
  const parser = new Parser(file)
  const raw = createReadStream(file).on('data', (chunk) => hash.update(chunk))
  const decoder = new TextDecoder()
  try {
    const stream = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw
    if (stream !== raw) raw.once('error', (error) => stream.destroy(error))
    for await (const chunk of stream) parser.push(decoder.decode(chunk as Uint8Array, { stream: true }))
  } catch (error) {
    if (error instanceof Mistake) throw error
    throw new Mistake(`--trace ${file}: it can not be read: ${error instanceof Error ? error.message : error}`)
  }
  parser.push(decoder.decode())
  return { name: nameOf(file), sha256: hash.digest('hex'), ...parser.end() }
}

export function nameOf(file: string): string {
  return basename(file).replace(/\.csv(\.gz)?$/, '')
}

class Parser {
  readonly #file: string
  readonly #idOf = new Map<string, number>()
  #ids = new Int32Array(1 << 16)
  #times = new Float64Array(1 << 16)
  #count = 0
  #line = 0
  #rest = ''
  #columns: { time: number; key: number; all: number } | undefined

  constructor(file: string) {
    this.#file = file
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() as string
    for (const line of lines) this.#take(line)
  }

  end(): Omit<Trace, 'name' | 'sha256'> {
    if (this.#rest !== '') this.#take(this.#rest)
    if (this.#count === 0)
      throw new Mistake(`--trace ${this.#file}: it has no requests; expected a header 'ts_ms,key' and a line for each`)
    const ids = this.#ids.slice(0, this.#count)
    const times = this.#times.slice(0, this.#count)
    const first = times[0] as number
    const isTimed = this.#count > 1 && times.some((time, at) => time - first !== at)
    return { ...(isTimed ? inOrder(ids, times) : { ids, times }), keys: [...this.#idOf.keys()], isTimed }
  }

  #take(text: string): void {
    this.#line++
    const line = text.endsWith('\r') ? text.slice(0, -1) : text
    if (this.#columns === undefined) {
      this.#columns = this.#header(line)
      return
    }
    if (line === '') return
    const { time, key, all } = this.#columns
    const fields = fieldsOf(line, all)
    if (fields.length !== all) throw this.#bad(`${fields.length} columns, expected ${all}`)
    const ms = fields[time] === '' ? Number.NaN : Number(fields[time])
    if (!Number.isFinite(ms)) throw this.#bad(`ts_ms is '${fields[time]}', expected a number`)
    const name = fields[key] as string
    if (name === '') throw this.#bad('key is empty')
    this.#add(name, ms)
  }

  #header(line: string): { time: number; key: number; all: number } {
    const names = line
      .replace(/^\ufeff/, '')
      .split(',')
      .map((name) => name.trim())
    const [time, key] = [names.indexOf('ts_ms'), names.indexOf('key')]
    if (time < 0 || key < 0) throw this.#bad(`the header is '${line}', expected columns 'ts_ms' and 'key'`)
    return { time, key, all: names.length }
  }

  #add(key: string, ms: number): void {
    let id = this.#idOf.get(key)
    if (id === undefined) {
      id = this.#idOf.size
      this.#idOf.set(key, id)
    }
    if (this.#count === this.#ids.length) {
      const [ids, times] = [this.#ids, this.#times]
      this.#ids = new Int32Array(2 * ids.length)
      this.#ids.set(ids)
      this.#times = new Float64Array(2 * times.length)
      this.#times.set(times)
    }
    this.#ids[this.#count] = id
    this.#times[this.#count++] = ms
  }

  #bad(what: string): Mistake {
    return new Mistake(`--trace ${this.#file}: line ${this.#line}: ${what}`)
  }
}

/** The last column has what is left, commas too; an earlier one may be quoted. */
function fieldsOf(line: string, count: number): string[] {
  const fields: string[] = []
  let at = 0
  while (fields.length < count - 1) {
    if (line[at] === '"') {
      const end = line.indexOf('",', at + 1)
      if (end < 0) return fields
      fields.push(line.slice(at + 1, end).replaceAll('""', '"'))
      at = end + 2
      continue
    }
    const end = line.indexOf(',', at)
    if (end < 0) break
    fields.push(line.slice(at, end))
    at = end + 1
  }
  fields.push(line.slice(at))
  return fields
}

/** Sorted by time where a line is earlier than the one before it; those of one time stay in their order. */
function inOrder(ids: Int32Array, times: Float64Array): { ids: Int32Array; times: Float64Array } {
  if (times.every((time, at) => at === 0 || time >= (times[at - 1] as number))) return { ids, times }
  const order = Uint32Array.from(times, (_, at) => at).sort(
    (a, b) => (times[a] as number) - (times[b] as number) || a - b,
  )
  return {
    ids: Int32Array.from(order, (at) => ids[at] as number),
    times: Float64Array.from(order, (at) => times[at] as number),
  }
}
