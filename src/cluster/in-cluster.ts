// The credentials that every pod gets: a service account token, the cluster's CA, and the API server in the environment.
// https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api
import { Addr } from '#/lib/addr.ts'
import { ConfigError, type ServerConfig } from './config.ts'

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'
/** Where a pod finds the token of its service account. */
export const inClusterTokenPath = `${serviceAccountFolder}/token`

/** `env` is the process environment; throws ConfigError outside of a cluster. */
export function inClusterConfig(
  env: Readonly<Record<string, string | undefined>>,
  folder: string = serviceAccountFolder,
): ServerConfig {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = env['KUBERNETES_SERVICE_PORT'] ?? ''
  if (host === '' || port === '') {
    throw new ConfigError(
      'no kubeconfig given, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod; give a kubeconfig',
    )
  }
  const server = `https://${Addr.tryParse(host)?.family === 6 ? `[${host}]` : host}:${port}`
  if (!URL.canParse(server)) {
    throw new ConfigError(
      `environment: KUBERNETES_SERVICE_HOST "${host}" and KUBERNETES_SERVICE_PORT "${port}" make no URL`,
    )
  }
  const file = (name: string): { kind: 'file'; path: string; field: string } => {
    const path = `${folder}/${name}`
    return { kind: 'file', path, field: `service account ${path}` }
  }
  return { server: new URL(server), insecure: false, ca: file('ca.crt'), token: file('token') }
}
