import { createModel, loadModel } from '../src/predict/model/index.ts'
import { ModelHolder } from '../src/predict/online/model-holder.ts'
import { serveModels } from '../src/predict/online/model-thread.ts'
import { currentRuntime } from '../src/runtime/index.ts'

serveModels(currentRuntime().parentPort(), new ModelHolder({ create: createModel, load: loadModel }))
