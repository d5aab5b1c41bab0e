import { PrewarmError } from '../../src/errors.ts'
import type { QueryOptions, RowCursor, RowSet, SqlClient, Statement } from '../../src/origin/sql-client.ts'

/** A {@linkcode SqlClient} whose answers a test gives. */
export class FakeSqlClient implements SqlClient {
  readonly queries: Statement[] = []
  /** Answers `rows`, and the first fetch of a cursor. */
  answer: (query: Statement, options: QueryOptions) => RowSet | Promise<RowSet> = () => ({ columns: [], rows: [] })
  openCursors = 0

  get user(): never {
    throw new PrewarmError('INTERNAL', 'a fake has no postgres.js')
  }

  async rows(query: Statement, options: QueryOptions): Promise<RowSet> {
    this.queries.push(query)
    return this.answer(query, options)
  }

  cursor(query: Statement, options: QueryOptions): RowCursor {
    let left: Promise<RowSet> | undefined
    let at = 0
    let isOpen = true
    this.openCursors++
    return {
      next: async (count) => {
        left ??= this.rows(query, options)
        const { columns, rows } = await left
        at += count
        return { columns, rows: rows.slice(at - count, at) }
      },
      close: async () => {
        if (isOpen) this.openCursors--
        isOpen = false
      },
    }
  }

  async close(): Promise<void> {}
}
