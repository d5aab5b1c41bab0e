import { serveWorker } from '../src/compose.ts'
import { currentRuntime } from '../src/runtime/index.ts'

serveWorker(currentRuntime())
