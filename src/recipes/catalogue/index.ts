export type { CatalogueTaskOptions } from './config.ts'
export { catalogueTasks } from './config.ts'
export type { WarmingHandle } from './loop.ts'
export type { PredictedRun, Predicts } from './predicted.ts'
export type { TaskDetails } from './tasks.ts'
export type {
  CatalogueValue,
  CatalogueWarmer,
  CatalogueWarmerOptions,
  CriticalTask,
  StartWarmingOptions,
  WarmingStats,
} from './warmer.ts'
export { createCatalogueWarmer } from './warmer.ts'
