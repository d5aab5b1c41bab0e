/** One `prewarm` run; prints its result, its memory and its CPU time as JSON. Started by `sessions-run.ts`. */
import { createWarmer } from '../../src/index.ts'

const [redisUrl, databaseUrl, limit = '1000', workers = '2'] = process.argv.slice(2)
const rss: number[] = []
const sampling = setInterval(() => rss.push(process.memoryUsage.rss()), 25)
const warmer = await createWarmer({
  file: `${import.meta.dir}/sessions.config.ts`,
  env: {},
  redisUrl,
  databaseUrl,
  workers: Number(workers),
})
const result = await warmer.submit({ params: { limit: Number(limit) } }).result
await warmer.stop()
clearInterval(sampling)
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6
console.log(JSON.stringify({ result, rss, peakRss: Math.max(maxRSS * 1024, ...rss), cpuSeconds }))
process.exit(0)
