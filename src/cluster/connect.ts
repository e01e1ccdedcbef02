// Makes a client from a kubeconfig or from the files of a pod.
import { ApiClient } from './client.ts'
import { type Clock, systemClock } from './clock.ts'
import type { ServerConfig } from './config.ts'
import { Credentials } from './credentials.ts'
import { inClusterConfig } from './in-cluster.ts'
import { type LimitSilence, Transport } from './transport.ts'

/**
 * `kubeconfig` is a path, or several joined by ":" as in $KUBECONFIG, and `context` one of those in it, by default its current-context;
 * without kubeconfig the service account of the pod is used.
 * Reads and checks all files but does not contact the server, which may be down when a node boots.
 * Throws ConfigError, one line that names the file and the field.
 */
export async function connect(
  options: { readonly kubeconfig?: string; readonly context?: string },
  deps: { readonly limitSilence?: LimitSilence } = {},
): Promise<ApiClient> {
  const { kubeconfig } = options
  if (kubeconfig === undefined) return clientFor(inClusterConfig(process.env), deps)
  // a pod has no kubeconfig, and should not hold a YAML parser in memory
  const { loadKubeconfig } = await import('./kubeconfig.ts')
  return clientFor(await loadKubeconfig(kubeconfig, options.context), deps)
}

/** A client for a configuration that is already resolved. Throws ConfigError. */
export async function clientFor(
  config: ServerConfig,
  deps: { readonly clock?: Clock; readonly random?: () => number; readonly limitSilence?: LimitSilence } = {},
): Promise<ApiClient> {
  const { clock = systemClock, limitSilence } = deps
  const credentials = new Credentials(config, { clock })
  const transport = new Transport(config, { credentials, clock, ...(limitSilence && { limitSilence }) })
  // a credential plugin may need a network that is not up yet; it first runs with the first request
  if (config.exec === undefined) await transport.prepare()
  return new ApiClient(config, { transport, ...deps })
}
