import { defineConfig, sql } from '../../src/define.ts'
import { FIELDS, SELECT, TTL_MS } from './sessions-query.ts'

/** What `postgres-run.bench.ts` runs: one stream of session hashes. */
export default defineConfig({
  maxOriginRps: Number(process.env.BENCH_ORIGIN_RPS ?? 1_000_000),
  tasks: {
    sessions: sql({
      key: 'session:{prefix}',
      value: 'hash',
      columns: FIELDS,
      ttl: TTL_MS,
      timeoutMs: '60s',
      query: `${SELECT} limit :limit`,
      params: { limit: 1000 },
    }),
  },
})
