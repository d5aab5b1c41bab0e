import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { configFile, startServers, tempFolder } from '../support/warming.ts'

const ROWS = 300_000
const QUERY = `"select n as id, md5(n::text) as token, now() as seen, repeat('x', 120) as pad from generate_series(1, ${ROWS}) n"`
const FILE = configFile(`maxOriginRps: 100000, tasks: {
  stream: sql({ key: 's:{id}', value: 'hash', query: ${QUERY}, timeoutMs: '30s' }),
  ranges: sql({ key: 'r:{id}', value: 'json', query: ${QUERY}, orderBy: ['id'], timeoutMs: '30s' }) }`)

describe('memory', () => {
  for (const [task, workers, boundMb] of [
    ['stream', 0, 250],
    ['ranges', 2, 300],
  ] as const) {
    it(`stays below ${boundMb} MB while ${ROWS} rows pass (${task}, ${workers} workers)`, {
      timeout: 120_000,
    }, async () => {
      const servers = await startServers()
      try {
        const script = join(tempFolder(), 'script.ts')
        const index = join(import.meta.dirname, '../../src/index.ts')
        const options = JSON.stringify({ env: {}, file: FILE, workers, ...servers.urls })
        writeFileSync(
          script,
          `import { createWarmer } from ${JSON.stringify(index)}
           const warmer = await createWarmer(${options})
           const result = await warmer.submit({ tasks: ['${task}'] }).result
           console.log(JSON.stringify(result.keys))
           await warmer.stop()`,
        )
        const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
        let output = ''
        let peakMb = 0
        child.stdout.on('data', (chunk) => {
          output += chunk
        })
        const watching = setInterval(() => {
          const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
          peakMb = Math.max(peakMb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
        }, 50)
        const code = await new Promise((resolve) => child.once('exit', resolve))
        clearInterval(watching)
        assertEquals(code, 0)
        assertEquals(JSON.parse(output).written, ROWS)
        assertEquals(await servers.redis.dbsize(), ROWS)
        console.log(`${task}, ${workers} workers: at most ${Math.round(peakMb)} MB`)
        assert(peakMb > 0 && peakMb < boundMb, `${peakMb} MB`)
      } finally {
        await servers.stop()
      }
    })
  }
})
