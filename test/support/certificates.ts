/** Certificates for TLS tests, made by `openssl`: an authority, a server on 127.0.0.1, a client, and a stranger's authority. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './servers.ts'
import { tempFolder } from './warming.ts'

export interface Certificates {
  caFile: string
  server: { certFile: string; keyFile: string }
  client: { certFile: string; keyFile: string }
  /** An authority that has signed none of these. */
  strangerCaFile: string
}

export function makeCertificates(): Certificates {
  if (findProgram('openssl') === undefined) throw new Error('openssl is missing: `sudo apt-get install -y openssl`')
  const folder = tempFolder()
  const path = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`)
  }
  const keyArgs = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const authority = (name: string) =>
    openssl('req', '-x509', ...keyArgs, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`)
  const signed = (name: string) => {
    writeFileSync(path(`${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    openssl(
      'req',
      '-new',
      ...keyArgs.slice(0, -2),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    )
    const ca = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
    openssl('x509', '-req', '-in', `${name}.csr`, ...ca, '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.crt`)
    return { certFile: path(`${name}.crt`), keyFile: path(`${name}.key`) }
  }
  authority('ca')
  authority('stranger')
  return {
    caFile: path('ca.crt'),
    server: signed('server'),
    client: signed('client'),
    strangerCaFile: path('stranger.crt'),
  }
}
