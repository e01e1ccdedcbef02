// The agent on every node. It is not privileged: every right and mount that it needs is listed here, with the reason.
import { agentGroups, cniSettings, nodeSettings } from '#/settings/agent-settings.ts'
import { type ContainerVariable, passedEnvironment, passedOn } from '#/settings/passing.ts'
import { hasEbpf } from './datapath.ts'
import {
  agentContainer,
  agentName,
  apiServerVariables,
  type InstallSettings,
  labelsOf,
  type Manifest,
} from './settings.ts'

/**
 * NET_ADMIN: devices, routes, neighbours, nftables, sysctls of the network. SYS_ADMIN: setns(2) into the network namespaces of
 * pods demands it; there is no smaller one. NET_BIND_SERVICE: BGP's port is below 1024. NET_RAW: other nodes are probed, unnumbered BGP neighbours are found
 * by an ICMPv6 echo, and the addresses of new pods are announced. The eBPF datapath needs no other: CAP_BPF and CAP_PERFMON are parts of
 * SYS_ADMIN (capabilities(7)), and seccomp's default profile lets who has that call bpf(2).
 */
export const agentCapabilities = ['NET_ADMIN', 'SYS_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW'] as const

/** Where the container finds sysctls: the node's /proc/sys/net is mounted below, since its own is read-only unless privileged. */
const procSys = '/host/proc/sys'

/** Where the container finds the node's bpffs. Default profiles of AppArmor deny writing below the container's own /sys/fs/bpf. */
const bpffs = '/host/sys/fs/bpf'

type HostPath = {
  readonly name: string
  readonly path: string
  readonly mountPath?: string
  readonly type: 'Directory' | 'DirectoryOrCreate'
  readonly propagates?: true
}

function hostPathsOf(settings: InstallSettings): HostPath[] {
  const { given } = settings
  return [
    { name: 'state', path: nodeSettings.stateDir.default, type: 'DirectoryOrCreate' },
    { name: 'run', path: nodeSettings.runDir.default, type: 'DirectoryOrCreate' },
    { name: 'cni-bin', path: passedOn(cniSettings.binDir, given), type: 'DirectoryOrCreate' },
    { name: 'cni-conf', path: passedOn(cniSettings.confDir, given), type: 'DirectoryOrCreate' },
    // where an agent that was started anew finds the pods that run, and all that an older plugin tells of a pod (docs/cni.md)
    { name: 'netns', path: '/run/netns', type: 'DirectoryOrCreate', propagates: true },
    { name: 'sysctls', path: '/proc/sys/net', mountPath: `${procSys}/net`, type: 'Directory' },
    // of a node that mounts its bpffs later the agent hears by propagation
    ...(hasEbpf(settings)
      ? [{ name: 'bpf', path: '/sys/fs/bpf', mountPath: bpffs, type: 'Directory', propagates: true } as const]
      : []),
  ]
}

function environmentOf(settings: InstallSettings): ContainerVariable[] {
  const fieldOf = (fieldPath: string) => ({ valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } })
  const own = {
    [nodeSettings.nodeName.variable]: fieldOf('spec.nodeName'),
    [nodeSettings.namespace.variable]: fieldOf('metadata.namespace'),
    [nodeSettings.procSys.variable]: { value: procSys },
    [nodeSettings.bpfDir.variable]: { value: `${bpffs}/causeway` },
  }
  return [...passedEnvironment(agentGroups, settings.given, own), ...apiServerVariables(settings)]
}

type ProbeTimes = {
  readonly failureThreshold: number
  readonly periodSeconds?: number
  readonly initialDelaySeconds?: number
}

function probe(path: string, httpPort: number, times: ProbeTimes): object {
  return {
    httpGet: { host: '127.0.0.1', port: httpPort, path },
    periodSeconds: 10,
    timeoutSeconds: 5,
    ...times,
  }
}

export function agentDaemonSet(settings: InstallSettings): Manifest {
  const { namespace, image, given } = settings
  const httpPort = Number(passedOn(nodeSettings.httpPort, given))
  const labels = labelsOf(agentName)
  const hostPaths = hostPathsOf(settings)
  const container = {
    name: agentContainer,
    image,
    args: ['agent'],
    env: environmentOf(settings),
    // A failed probe is a Warning on the pod. The delays are as long as an agent takes to start and to set up its node: then there is none
    // in the normal course of things. Liveness counts from the end of the start, which may take long on a node that is busy booting.
    startupProbe: probe('/healthz', httpPort, { initialDelaySeconds: 3, periodSeconds: 2, failureThreshold: 60 }),
    livenessProbe: probe('/healthz', httpPort, { failureThreshold: 6 }),
    readinessProbe: probe('/readyz', httpPort, { initialDelaySeconds: 5, failureThreshold: 1 }),
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      privileged: false,
      runAsUser: 0,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: [...agentCapabilities] },
      seccompProfile: { type: 'RuntimeDefault' },
      // where SELinux is on, a container's default type may not write to folders of the node
      seLinuxOptions: { level: 's0', type: 'spc_t' },
    },
    volumeMounts: hostPaths.map(({ name, path, mountPath = path, propagates }) => ({
      name,
      mountPath,
      ...(propagates && { mountPropagation: 'HostToContainer' }),
    })),
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: agentName, namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      // while an agent is away no packet is lost, only new pods wait
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: agentName,
          hostNetwork: true,
          priorityClassName: 'system-node-critical',
          // a node is not ready before its agent runs
          tolerations: [{ operator: 'Exists' }],
          nodeSelector: { 'kubernetes.io/os': 'linux', ...settings.nodeSelector },
          terminationGracePeriodSeconds: 30,
          containers: [container],
          volumes: hostPaths.map(({ name, path, type }) => ({ name, hostPath: { path, type } })),
        },
      },
    },
  }
}
