import type { Command } from 'commander'
import { monitoringFiles } from '../monitoring/files.ts'
import { writeFiles } from '../monitoring/write.ts'
import { PrewarmCommand } from './command.ts'
import type { Cli } from './context.ts'

/** `prewarm monitoring` */
export function monitoringCommand({ io, runtime }: Cli): Command {
  return new PrewarmCommand('monitoring')
    .description('Write alert rules with their tests, a scrape config, an Alertmanager example and a Grafana dashboard')
    .argument('[dir]', 'folder to write to', 'monitoring')
    .option('--force', 'replace files that are there and differ')
    .option('--json', 'print exactly one JSON object on stdout')
    .addHelpText('after', '\nExample:\n  $ prewarm monitoring && promtool test rules monitoring/prewarm.rules.test.yml')
    .action(async (dir: string, { force, json }: { force?: boolean; json?: boolean }) => {
      const folder = runtime.resolvePath(dir)
      const written = await writeFiles(folder, await monitoringFiles(), { force: force === true })
      if (json === true) {
        const files = [...written].map(([file, status]) => ({ file, status }))
        return io.answer(JSON.stringify({ dir: folder, files }))
      }
      const lines = [...written].map(([file, status]) => `${status.padEnd(8)} ${file}`)
      await io.answer([...lines, `in ${folder}`, `next: ${dir}/README.md`].join('\n'))
    })
}
