// What a pod asks of its network, as containerd passes it to the plugins of a conflist that want it (internal/cri/server/sandbox_run.go,
// cniNamespaceOpts; libcni's injectRuntimeConfig). Pure.
import { annotationsOf, fieldsOf, type Pod } from '#/model/kubernetes.ts'

/** CONVENTIONS.md of CNI, "capabilities": the name of each is the key of its value in `runtimeConfig`. */
export type CapabilityArgs = Readonly<Record<string, unknown>>

/** Suffixes of a Kubernetes quantity. */
const suffixes = new Map([
  ['', 1],
  ['m', 1e-3],
  ...['k', 'M', 'G', 'T', 'P', 'E'].map((suffix, index): [string, number] => [suffix, 1000 ** (index + 1)]),
  ...['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((suffix, index): [string, number] => [suffix, 1024 ** (index + 1)]),
])
/** The rates that kubelet and runtimes allow (ExtractPodBandwidthResources), in bits per second. */
const [minBps, maxBps] = [1e3, 1e15]
const maxBurst = 2 ** 32 - 1

/** A rate of an annotation, in bits per second; throws with what is wrong with it. */
function rateOf(annotation: string, text: string): number {
  const [, number = '', suffix = '', exponent = '0'] =
    /^(\d+\.?\d*|\.\d+)(?:([KMGTPE]i|[kMGTPEm])|[eE]([+-]?\d{1,3}))?$/.exec(text.trim()) ?? []
  const bps = number === '' ? Number.NaN : Math.ceil(Number(number) * suffixes.get(suffix)! * 10 ** Number(exponent))
  if (Number.isNaN(bps))
    throw new Error(`annotation ${annotation}="${text}" is no rate such as 10M, in bits per second`)
  if (bps < minBps || bps > maxBps)
    throw new Error(`annotation ${annotation}="${text}" is no rate from 1k to 1P, in bits per second`)
  return bps
}

function portMappingsOf(pod: Pod): object[] {
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
  return list(fieldsOf(pod.spec)['containers'])
    .flatMap((container) => list(fieldsOf(container)['ports']))
    .map(fieldsOf)
    .flatMap(({ hostPort, containerPort, protocol = 'TCP', hostIP = '' }) =>
      typeof hostPort === 'number' && hostPort > 0
        ? [
            {
              HostPort: hostPort,
              ContainerPort: containerPort,
              Protocol: String(protocol).toLowerCase(),
              HostIP: hostIP,
            },
          ]
        : [],
    )
}

/** Throws when an annotation cannot be read, as containerd does: the pod is not run then. */
export function capabilityArgsOf(pod: Pod): CapabilityArgs {
  const annotations = annotationsOf(pod)
  const rate = (direction: 'ingress' | 'egress'): number | undefined => {
    const name = `kubernetes.io/${direction}-bandwidth`
    return annotations[name] === undefined ? undefined : rateOf(name, annotations[name])
  }
  const [ingress, egress] = [rate('ingress'), rate('egress')]
  const bandwidth = {
    ...(ingress !== undefined && { IngressRate: ingress, IngressBurst: maxBurst }),
    ...(egress !== undefined && { EgressRate: egress, EgressBurst: maxBurst }),
  }
  const portMappings = portMappingsOf(pod)
  return {
    'io.kubernetes.cri.pod-annotations': annotations,
    ...(portMappings.length > 0 && { portMappings }),
    ...(Object.keys(bandwidth).length > 0 && { bandwidth }),
  }
}

/** What a plugin's entry in a conflist says it can use of these; the rest is not passed to it. */
export function wantedOf(args: CapabilityArgs, capabilities: Readonly<Record<string, boolean>>): CapabilityArgs {
  return Object.fromEntries(Object.entries(args).filter(([name]) => capabilities[name] === true))
}
