/** What `prewarm init` writes. It runs as it is, with an embedded Redis and Postgres. */
export const TEMPLATE = `import { defineConfig, sql } from 'prewarm'

export default defineConfig({
  // Without a URL an embedded server is used, for trying things out.
  redis: process.env.REDIS_URL,
  database: process.env.DATABASE_URL,

  tasks: {
    // Each row of the query becomes one key: 'product:1', 'product:2', …
    products: sql({
      key: 'product:{id}',
      value: 'hash', // each column a field; or 'json', or { column: 'name' }, or as a cache library stores it: 'keyv', 'bentocache', …
      ttl: '1h',
      priority: 100, // a larger number is warmer and runs first
      critical: true, // selected by: prewarm run --critical
      tags: ['catalog'], // selected by: prewarm run --tag catalog
      // Replace this by a query on your own tables. ':limit' is bound, never spliced: prewarm run --limit 20
      query: "select n as id, 'Product ' || n as name from generate_series(1, :limit::int) n order by n",
      params: { limit: 100 },
      // orderBy: ['id'], // with an order that an index serves, several workers share the query
    }),

    // Values that a function of yours loads, many keys at once (import { load } from 'prewarm'):
    // profiles: load({
    //   key: 'user:{id}:profile',
    //   ttl: '5m',
    //   params: { limit: 100 },
    //   select: ({ sql, params }) => sql\`select id from users order by last_seen desc limit \${params.limit}\`,
    //   load: async (keys, { ids, sql }) => {
    //     const rows = await sql\`select * from users where id in \${sql(ids.map(({ id }) => Number(id)))}\`
    //     return new Map(rows.map((row) => [\`user:\${row.id}:profile\`, row]))
    //   },
    // }),

    // Values from an HTTP API, one request a key (import { http } from 'prewarm'):
    // rates: http({
    //   key: 'rate:{code}',
    //   ttl: '10m',
    //   url: 'https://rates.example/v1/{code}',
    //   select: () => [{ code: 'EUR' }, { code: 'USD' }],
    // }),
  },

  // Kept by \`prewarm serve\` and the daemon; also POST /warm/schedules:
  // schedules: {
  //   nightly: { preset: 'daily', timeZone: 'Europe/Berlin' }, // 02:00: critical tasks, then what is predicted to be hot
  //   catalog: { cron: '*/15 6-22 * * *', tags: ['catalog'] },
  // },
})
`
