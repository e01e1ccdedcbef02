// The observers of a cluster with another network: their DaemonSet and rights, beside an installation of Causeway or without one.
import { nodeSettings } from '#/settings/agent-settings.ts'
import { observerGroups } from '#/settings/observer-settings.ts'
import { passedEnvironment } from '#/settings/passing.ts'
import { account, grant, operatorAccess } from './access.ts'
import {
  agentContainer,
  apiServerVariables,
  identityOf,
  type InstallSettings,
  labelsOf,
  type Manifest,
  namespaceOf,
  observerName,
} from './settings.ts'

/**
 * NET_ADMIN: the kernel shows nftables, legacy iptables and connection tracking to nobody without it. SYS_ADMIN: setns(2) into the network
 * namespaces of pods, and programs at tracepoints. NET_RAW: probes.
 */
export const observerCapabilities = ['NET_ADMIN', 'SYS_ADMIN', 'NET_RAW'] as const

export type ObserverInstall = Pick<InstallSettings, 'namespace' | 'image' | 'given' | 'nodeSelector' | 'apiServer'>

type HostPath = { readonly name: string; readonly path: string; readonly propagates?: true }

const hostPaths: readonly HostPath[] = [
  { name: 'run', path: nodeSettings.runDir.default },
  // where runtimes keep the namespaces of pods
  { name: 'netns', path: '/run/netns', propagates: true },
]

function access(namespace: string): Manifest[] {
  const rules = [{ apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] }]
  return [account(observerName, namespace), ...grant({ name: observerName, namespace }, rules)]
}

function daemonSet(settings: ObserverInstall): Manifest {
  const { namespace, image, given, nodeSelector } = settings
  const labels = labelsOf(observerName)
  const own = {
    [nodeSettings.nodeName.variable]: { valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.nodeName' } } },
    // to read sysctls the container's own /proc/sys does
    [nodeSettings.procSys.variable]: { value: nodeSettings.procSys.default },
  }
  const container = {
    name: agentContainer,
    image,
    args: ['observe'],
    env: [...passedEnvironment(observerGroups, given, own), ...apiServerVariables(settings)],
    resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      privileged: false,
      runAsUser: 0,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: [...observerCapabilities] },
      seccompProfile: { type: 'RuntimeDefault' },
      // where SELinux is on, a container's default type may not write to folders of the node
      seLinuxOptions: { level: 's0', type: 'spc_t' },
    },
    volumeMounts: hostPaths.map(({ name, path, propagates }) => ({
      name,
      mountPath: path,
      ...(propagates && { mountPropagation: 'HostToContainer' }),
    })),
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: observerName, namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      // nothing depends on observers
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%' } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: observerName,
          hostNetwork: true,
          tolerations: [{ operator: 'Exists' }],
          nodeSelector: { 'kubernetes.io/os': 'linux', ...nodeSelector },
          terminationGracePeriodSeconds: 5,
          containers: [container],
          volumes: hostPaths.map(({ name, path }) => ({ name, hostPath: { path, type: 'DirectoryOrCreate' } })),
        },
      },
    },
  }
}

/** What observers alone have. */
function ownObjects(settings: ObserverInstall): Manifest[] {
  return [...access(settings.namespace), daemonSet(settings)]
}

/** What observers share with an installation of Causeway in the same namespace. */
function sharedObjects(namespace: string): Manifest[] {
  return [...namespaceOf(namespace), operatorAccess()]
}

/** All objects, in the order in which they are applied. */
export function observerManifests(settings: ObserverInstall): Manifest[] {
  return [...sharedObjects(settings.namespace), ...ownObjects(settings)]
}

/** Kind, namespace and name of what observers share with an installation of Causeway. */
export function sharedIdentities(namespace: string): Manifest[] {
  return sharedObjects(namespace).map(identityOf)
}

/** Kind, namespace and name of what observers alone have. */
export function observerIdentities(namespace: string): Manifest[] {
  return ownObjects({ namespace, image: '', given: {}, nodeSelector: {}, apiServer: undefined }).map(identityOf)
}
