import { defineConfig, load } from '../../src/define.ts'

/** What `worker.bench.ts` runs: values that cost nothing to load. */
export default defineConfig({
  tasks: {
    values: load({ key: 'value:{id}', value: 'string', ttl: '1h', load: (keys) => keys.map((key) => `of ${key}`) }),
  },
})
