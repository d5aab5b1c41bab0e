import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { PrewarmError } from '../errors.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'
import { TEMPLATE } from './template.ts'

const FILE = 'prewarm.config.ts'

/** `prewarm init` */
export function initCommand({ io, runtime }: Cli): Command {
  return new PrewarmCommand('init')
    .description('Write a commented prewarm.config.ts to begin with')
    .option('--config <FILE>', 'file to write', FILE)
    .option('--force', 'replace a file that is there')
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm init && prewarm plan')
    .action(async ({ config, force, json }: { config: string; force?: boolean; json?: boolean }) => {
      const file = runtime.resolvePath(config)
      try {
        await writeFile(file, TEMPLATE, { flag: force === true ? 'w' : 'wx' })
      } catch (error) {
        if ((error as { code?: string }).code !== 'EEXIST') {
          throw new PrewarmError('USAGE', `Cannot write ${config}: ${(error as Error).message}`, { cause: error })
        }
        throw new PrewarmError(
          'USAGE',
          `${config} is there already: replace it with --force, or name another with --config`,
        )
      }
      await io.answer(json === true ? JSON.stringify({ file }) : `wrote ${file}\nnext: prewarm plan`)
    })
}
