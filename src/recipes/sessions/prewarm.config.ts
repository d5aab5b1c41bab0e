import { defineConfig } from '../../define.ts'
import { sessionTasks } from './config.ts'

// REDIS_URL and DATABASE_URL say where, --limit how many: prewarm run --config src/recipes/sessions/prewarm.config.ts
export default defineConfig({ tasks: sessionTasks() })
