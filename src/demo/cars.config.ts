import { defineConfig } from '../define.ts'
import { carTasks } from '../recipes/cars/index.ts'
import { DEMO_PREFIX, DEMO_SCHEMA } from './names.ts'

/** The recipe as it is, in the demo's own schema and under its own keys. */
export default defineConfig({ tasks: carTasks({ schema: DEMO_SCHEMA, keyPrefix: DEMO_PREFIX }) })
