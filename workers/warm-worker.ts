import { serveWorker } from '../src/compose-worker.ts'
import { currentRuntime } from '../src/runtime/index.ts'

// What a user's functions print must not get between the results on stdout.
for (const name of ['log', 'info', 'debug'] as const) console[name] = console.error

serveWorker(currentRuntime())
