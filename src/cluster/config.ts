// The result of reading a kubeconfig or the in-cluster files. Material that stands in files is kept as a path, because such
// files are rotated under a running process.

/** Something is wrong with the configuration; the message is one line that names the file and the field. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** PEM text or a token; `field` names where it came from, for errors. */
export type Material =
  | { readonly kind: 'inline'; readonly text: string; readonly field: string }
  | { readonly kind: 'file'; readonly path: string; readonly field: string }

/** A credential plugin (KEP-541). */
export type ExecPlugin = {
  readonly apiVersion: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly provideClusterInfo: boolean
  readonly installHint: string
  readonly field: string
}

export type ServerConfig = {
  readonly server: URL
  readonly serverName?: string
  readonly insecure: boolean
  readonly ca?: Material
  readonly clientCert?: Material
  readonly clientKey?: Material
  readonly token?: Material
  /** base64 of user:password (RFC 7617). */
  readonly basic?: string
  readonly exec?: ExecPlugin
}
