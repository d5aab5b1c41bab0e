import { defineConfig } from '../../define.ts'
import { userTasks } from './config.ts'

// REDIS_URL and DATABASE_URL say where; --limit and --hours whom: prewarm run --config src/recipes/users/prewarm.config.ts
export default defineConfig({ tasks: userTasks() })
