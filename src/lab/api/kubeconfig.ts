// kubeconfig files, by which kubectl and other clients find and trust the lab's API server.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { stringify } from 'yaml'

export type KubeconfigOptions = {
  /** https://host:port */
  readonly server: string
  /** The authority's certificate as PEM. */
  readonly ca: string
  readonly token: string
  /** The name of cluster, user and context. */
  readonly name: string
}

/** The text of a kubeconfig that needs no other files. */
export function kubeconfig({ server, ca, token, name }: KubeconfigOptions): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}

/** Writes a kubeconfig readable only by its owner, because it contains a token. */
export function writeKubeconfig(path: string, options: KubeconfigOptions): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, kubeconfig(options), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
