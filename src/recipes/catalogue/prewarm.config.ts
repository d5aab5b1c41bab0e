import { defineConfig } from '../../define.ts'
import { catalogueTasks } from './config.ts'

// REDIS_URL and DATABASE_URL say where, --limit and --top how many: prewarm run --config src/recipes/catalogue/prewarm.config.ts
export default defineConfig({ tasks: catalogueTasks() })
