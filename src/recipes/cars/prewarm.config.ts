import { defineConfig } from '../../define.ts'
import { carTasks } from './config.ts'

// REDIS_URL and DATABASE_URL say where; --limit and --days how much: prewarm run --config src/recipes/cars/prewarm.config.ts
export default defineConfig({ tasks: carTasks() })
