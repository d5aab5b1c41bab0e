import { dirname, resolve } from 'node:path'
import type { Clock } from './clock.ts'
import type { Commands, Locks } from './coordination/types.ts'
import { createModel, loadModel } from './predict/model/index.ts'
import { FoldLoop } from './predict/online/fold-loop.ts'
import { ModelHolder } from './predict/online/model-holder.ts'
import { OnlinePredictor } from './predict/online/predictor.ts'
import { ThreadWorker } from './predict/online/thread-worker.ts'
import { loadOnnxModel } from './predict/onnx.ts'
import type { OutsideModel } from './predict/types.ts'
import type { Runtime } from './runtime/types.ts'
import type { Current } from './warmer-parts.ts'

const WORKER = new URL('../workers/predict-worker.ts', import.meta.url)

export interface PredictionOptions {
  current: Current
  commands: Commands
  locks: Locks
  clock: Clock
  random: () => number
  runtime: Pick<Runtime, 'startWorker' | 'importConfig'>
  instance: string
}

/** What predicts by what was read. */
export interface Prediction {
  predictor: OnlinePredictor
  /**
   * Learns from each window as it ends, from now on; the returned function ends that.
   *
   * @throws {PrewarmError} `MODEL_INVALID` for a model from outside that can't be used
   */
  start(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** Builds it; no thread is started before there is something to learn from. */
export function composePrediction(options: PredictionOptions): Prediction {
  const { current, commands, locks, clock, random, runtime, instance } = options
  const worker = new ThreadWorker({
    startWorker: () => runtime.startWorker(WORKER, 'prewarm-predict'),
    // Between two windows it lets others have the thread.
    here: new ModelHolder({ create: createModel, load: loadModel }, () => clock.sleep(0)),
    clock,
  })
  const outside = outsideOf(current, runtime)
  const predictor = new OnlinePredictor({
    ...{ commands, locks, clock, worker, holder: instance },
    settings: () => current.config.settings.prediction,
    outside: outside.get,
  })
  const loop = new FoldLoop({ predictor, clock, random })
  return {
    predictor,
    async start() {
      if (current.config.settings.prediction.predictor === 'onnx') await outside.get()
      loop.start()
      return async () => {
        // What is folded now is given up: the next one who looks does it.
        await Promise.all([loop.stop(), predictor.close()])
      }
    },
    async close() {
      await predictor.close()
      worker.close()
      await outside.close()
    },
  }
}

/** The model from outside that the configuration names now, loaded when it is first asked for. */
function outsideOf(current: Current, runtime: Pick<Runtime, 'importConfig'>) {
  let loaded: { file: string; model: Promise<OutsideModel> } | undefined
  const drop = async () => {
    const last = loaded
    loaded = undefined
    await last?.model.then((model) => model.close()).catch(() => {})
  }
  return {
    get(): Promise<OutsideModel> | undefined {
      const { settings, file: config } = current.config
      const { model: name } = settings.prediction
      if (name === undefined) return undefined
      const file = config === undefined ? resolve(name) : resolve(dirname(config), name)
      if (loaded?.file === file) return loaded.model
      void drop()
      const model = loadOnnxModel(file, { importFile: runtime.importConfig })
      const mine = { file, model }
      loaded = mine
      // What could not be loaded is tried anew: the file may be mended by then.
      model.catch(() => {
        if (loaded === mine) loaded = undefined
      })
      return model
    },
    close: drop,
  }
}
