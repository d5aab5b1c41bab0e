import { defineConfig } from '../define.ts'
import { sessionTasks } from '../recipes/sessions/index.ts'
import { DEMO_PREFIX, DEMO_SCHEMA } from './names.ts'

/** The recipe as it is, in the demo's own schema and under its own keys: no service may take these sessions for real. */
export default defineConfig({ tasks: sessionTasks({ schema: DEMO_SCHEMA, keyPrefix: DEMO_PREFIX }) })
