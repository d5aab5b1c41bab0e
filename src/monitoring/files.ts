import { readFile } from 'node:fs/promises'
import { dashboardText } from './dashboard.ts'

/** Written as they are; they lie in the folder `files`. */
const PLAIN = [
  'prewarm.rules.yml',
  'prewarm.rules.test.yml',
  'prometheus.yml',
  'alertmanager.yml',
  'README.md',
] as const

/** What `prewarm monitoring` writes: name -> text. */
export async function monitoringFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const name of PLAIN) files.set(name, await readFile(new URL(`./files/${name}`, import.meta.url), 'utf8'))
  files.set('grafana-dashboard.json', dashboardText())
  return files
}
