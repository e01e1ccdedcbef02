// flannel's annotations of Node objects, which say where a node's VXLAN tunnel ends. This node reads them to reach flannel nodes and writes
// its own to be reached by them (flannel: Documentation/kubernetes.md, "Annotations").
import { Addr, type Family, families, type Prefix } from '#/lib/addr.ts'
import { annotationsOf, fieldsOf, internalAddressesOf, type KubeNode, podCIDRsOf } from './kubernetes.ts'
import { type Problem, problem } from './problems.ts'

const prefix = 'flannel.alpha.coreos.com/'
const annotationNames = {
  managed: `${prefix}kube-subnet-manager`,
  backendType: `${prefix}backend-type`,
  4: { data: `${prefix}backend-data`, addr: `${prefix}public-ip` },
  6: { data: `${prefix}backend-v6-data`, addr: `${prefix}public-ipv6` },
} as const
/** All annotations that are read here. */
export const flannelAnnotations: readonly string[] = [
  annotationNames.managed,
  annotationNames.backendType,
  ...families.flatMap((family) => Object.values(annotationNames[family])),
]

export type FlannelEnd = {
  /** The MACs of the VTEPs, by the family of pods. */
  readonly vtepMacs: { readonly [F in Family]?: string }
  readonly publicAddrs: readonly Addr[]
}

/**
 * Reads a node's flannel annotations; undefined for a node without those of flannel's VXLAN. Malformed ones are left out and reported in
 * `problems`.
 */
export function flannelEndOf(node: KubeNode): { end: FlannelEnd; problems: Problem[] } | undefined {
  const annotations = annotationsOf(node)
  if (annotations[annotationNames.backendType] !== 'vxlan') return undefined
  const vtepMacs: { [F in Family]?: string } = {}
  const publicAddrs: Addr[] = []
  const problems: Problem[] = []
  const refuse = (annotation: string, why: string): number =>
    problems.push(problem('CW1005', `node/${node.metadata.name}`, `annotation ${annotation}: ${why}`))
  for (const family of families) {
    const { data, addr } = annotationNames[family]
    const text = annotations[data]
    const mac = text === undefined ? undefined : vtepMacOf(text)
    if (mac !== undefined) vtepMacs[family] = mac
    else if (text !== undefined && text !== 'null' && text !== '') refuse(data, `${text.slice(0, 80)} has no VtepMAC`)
    const published = annotations[addr]
    const publicAddr = published === undefined ? undefined : Addr.tryParse(published)
    if (publicAddr?.family === family) publicAddrs.push(publicAddr)
    else if (published !== undefined && published !== '')
      refuse(addr, `"${published.slice(0, 80)}" is no IPv${family} address`)
  }
  return Object.keys(vtepMacs).length === 0 ? undefined : { end: { vtepMacs, publicAddrs }, problems }
}

/** What flannel has written on a node, whichever backend it has. */
export type FlannelNode = {
  readonly name: string
  /** `vxlan`, `host-gw` and others; undefined: flannel has written none. */
  readonly backend?: string
  /** Of the VXLAN network. */
  readonly vni: number
  readonly podCIDRs: readonly Prefix[]
  readonly publicAddrs: { readonly [F in Family]?: Addr }
  readonly vtepMacs: { readonly [F in Family]?: string }
  /** All addresses by which it is known. */
  readonly addrs: readonly Addr[]
}

/** flannel's own default. */
const defaultVni = 1

/** Reads a node as flannel does. */
export function flannelNodeOf(node: KubeNode): FlannelNode {
  const annotations = annotationsOf(node)
  const backend = annotations[annotationNames.backendType]
  const internal = internalAddressesOf(node).addrs
  const publicAddrs: { [F in Family]?: Addr } = {}
  for (const family of families) {
    const published = Addr.tryParse(annotations[annotationNames[family].addr] ?? '')
    if (published?.family === family) publicAddrs[family] = published
  }
  const published = Object.values(publicAddrs)
  return {
    name: node.metadata.name,
    ...(backend !== undefined && backend !== '' && { backend }),
    vni: vniOf(annotations[annotationNames[4].data]) ?? vniOf(annotations[annotationNames[6].data]) ?? defaultVni,
    podCIDRs: podCIDRsOf(node).prefixes,
    publicAddrs,
    vtepMacs: flannelEndOf(node)?.end.vtepMacs ?? {},
    addrs: [...published, ...internal.filter((addr) => !published.some((other) => other.equals(addr)))],
  }
}

/** The names of flannel's VXLAN devices, one for each family of pods. */
export function flannelDevice(family: Family, vni: number): string {
  return family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`
}

function fieldsIn(text: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(text))
  } catch {
    return {}
  }
}

function vniOf(text: string | undefined): number | undefined {
  const vni = fieldsIn(text ?? '')['VNI']
  return typeof vni === 'number' ? vni : undefined
}

function vtepMacOf(text: string): string | undefined {
  const mac = fieldsIn(text)['VtepMAC']
  return typeof mac === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) ? mac.toLowerCase() : undefined
}

/** The annotations that let flannel nodes reach a node whose one VTEP serves both families. */
export function flannelAnnotationsFor(end: {
  readonly vni: number
  readonly mac: string
  readonly addrs: readonly Addr[]
}): Record<string, string> {
  const annotations: Record<string, string> = {
    [annotationNames.managed]: 'true',
    [annotationNames.backendType]: 'vxlan',
  }
  for (const family of families) {
    const addr = end.addrs.find((each) => each.family === family)
    if (addr === undefined) continue
    annotations[annotationNames[family].data] = JSON.stringify({ VNI: end.vni, VtepMAC: end.mac })
    annotations[annotationNames[family].addr] = String(addr)
  }
  return annotations
}

/** What mends what flannel keeps in the kernel of a node. */
export const restartFlannel = (node: string): string =>
  `restart flannel on this node, which makes it again: kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=${node} (with k3s, whose flannel is a part of it: restart the service k3s or k3s-agent)`
