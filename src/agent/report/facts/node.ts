// All that is told of a node's kernel, read at one moment as far as that goes: the node's namespace, then each pod's.
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { type LinkFacts, type NamespaceFacts, type NodeFacts } from '#/api/schemas/facts.ts'
import { type Generation, ownProgramIds } from '#/datapath/programs.ts'
import { listAttached } from '#/kernel/bpf/attached.ts'
import { hasTcx } from '#/kernel/bpf/tcx.ts'
import { listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { messageOf } from '#/lib/log.ts'
import { isPodDevice } from '#/model/names.ts'
import { offloadsOf } from '#/sys/ethtool.ts'
import { type Netns } from '#/sys/netns.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { type Endpoint } from '../../endpoints/endpoint-store.ts'
import { readConflists } from './conflists.ts'
import { clientOf, readFirewalls } from './firewalls.ts'
import { Cuts, madeInTurns, most } from './limits.ts'
import { readNamespace } from './namespace.ts'
import { readProgramMaps } from './program-maps.ts'

type FactsPod = Pick<Endpoint, 'pod'>

export type FactsSources<Pod extends FactsPod = Endpoint> = {
  readonly nodeName: string
  /** Of the node's namespace. */
  readonly netlink: Netlink
  readonly pods: () => readonly Pod[]
  /** Opens a pod's namespace; undefined when it is gone. The caller disposes of it. */
  readonly netnsOf: (pod: Pod) => Netns | undefined
  /** The programs of the eBPF datapath. */
  readonly generation: () => Generation | undefined
  readonly settings: Readonly<Record<string, string>>
  /** Where the runtime looks for CNI configurations; absent: no runtime is served. */
  readonly confDir: string | undefined
}

export type FactsWish = { readonly withRules: boolean }

/** Rejects with KernelError when the node's own namespace cannot be read. */
export async function readFacts<Pod extends FactsPod>(sources: FactsSources<Pod>, wish: FactsWish): Promise<NodeFacts> {
  const [beginMs, nowMs] = [performance.now(), Date.now()]
  const { nodeName, netlink, settings, confDir } = sources
  const cuts = new Cuts('')
  const own = await readNamespace({ netlink, inside: (read) => read() }, cuts)
  const firewalls = await readFirewalls(undefined, wish, cuts)
  const programs = await readPrograms(sources, cuts)
  const programMaps = wish.withRules ? await readProgramMaps(sources.generation(), cuts) : undefined
  const tracked = connections(own.sysctls)
  const pods: NamespaceFacts[] = []
  const cut = [...cuts.found]
  for (const pod of sources.pods()) {
    const ofPod = new Cuts(`pod ${pod.pod}`)
    pods.push(await readPod(sources, pod, wish, ofPod))
    cut.push(...ofPod.found)
    await setImmediate()
  }
  return {
    node: nodeName,
    nowMs,
    tookMs: Math.round(performance.now() - beginMs),
    kernel: { release: release(), lacks: lacks() },
    settings,
    namespaces: [
      {
        ...own,
        links: await madeInTurns(own.links, withOffloads),
        chains: firewalls.chains,
        ...(wish.withRules && { sets: firewalls.sets }),
      },
      ...pods,
    ],
    programs,
    ...(programMaps && { programMaps }),
    conflists: confDir === undefined ? [] : readConflists(confDir),
    ...(tracked && { connections: tracked }),
    isCut: cut.length > 0,
    cut,
  }
}

const nothing: Omit<NamespaceFacts, 'pod' | 'error'> = {
  links: [],
  addresses: [],
  routes: [],
  rules: [],
  neighbours: [],
  bridgeEntries: [],
  sysctls: {},
  listeners: [],
  chains: [],
  checksumErrors: { tcp: 0, udp: 0 },
}

async function readPod<Pod extends FactsPod>(
  { netnsOf }: FactsSources<Pod>,
  pod: Pod,
  { withRules }: FactsWish,
  cuts: Cuts,
): Promise<NamespaceFacts> {
  try {
    using netns = netnsOf(pod)
    if (netns === undefined) return { pod: pod.pod, error: 'its namespace is gone', ...nothing }
    using netlink = Netlink.brief(netns)
    const found = await readNamespace({ netlink, inside: (read) => netns.run(read) }, cuts)
    if (!withRules) return { pod: pod.pod, ...found, chains: [] }
    return { pod: pod.pod, ...found, ...(await readFirewalls(netns, { withRules }, cuts)) }
  } catch (error) {
    return { pod: pod.pod, error: messageOf(error), ...nothing }
  }
}

/** A VXLAN device and the hardware below may spoil checksums; what pods have is made of memory alone. */
function withOffloads(link: LinkFacts): LinkFacts {
  if (link.name === 'lo' || isPodDevice(link.name) || !link.isEthernet) return link
  const offloads = offloadsOf(link.name)
  return offloads === undefined ? link : { ...link, offloads }
}

/** Programs at the devices of the node, whoever attached them. */
async function readPrograms(
  { netlink, generation }: Pick<FactsSources, 'netlink' | 'generation'>,
  cuts: Cuts,
): Promise<NodeFacts['programs'][number][]> {
  const own = new Set(ownProgramIds(generation()))
  const found: NodeFacts['programs'][number][] = []
  for (const link of listLinks(netlink)) {
    const { name: device, xdpProgramId } = link
    if (xdpProgramId !== undefined) found.push({ device, hook: 'xdp', id: xdpProgramId, isOurs: own.has(xdpProgramId) })
    for (const hook of ['ingress', 'egress'] as const)
      for (const { programId: id, name, filter } of attached(netlink, link, hook))
        found.push({
          device,
          hook,
          ...(id !== undefined && { id }),
          ...(name !== '' && { name }),
          isOurs: filter?.isOurs === true || (id !== undefined && own.has(id)),
        })
    await setImmediate()
  }
  return cuts.told('programs', found.slice(0, most.programs * 2), (each) => each)
}

/** None: the device has gone meanwhile, or this process may not ask. */
function attached(...asked: Parameters<typeof listAttached>): ReturnType<typeof listAttached> {
  try {
    return listAttached(...asked)
  } catch {
    return []
  }
}

/** In the words of who would miss it. */
function lacks(): string[] {
  const mayLack: readonly (readonly [string, () => boolean])[] = [
    [
      'BTF (/sys/kernel/btf/vmlinux): no eBPF datapath, and traces do not see packets',
      () => existsSync('/sys/kernel/btf/vmlinux'),
    ],
    ['tcx (Linux 6.6): programs are attached by filters of clsact', hasTcx],
    ['nf_tables: no masquerade, no network policies', hasNftables],
    [
      'connection tracking: no masquerade, no network policies',
      () => readSysctl('net/netfilter/nf_conntrack_max') !== undefined,
    ],
  ]
  return mayLack.flatMap(([what, has]) => (tried(has) === false ? [what] : []))
}

function hasNftables(): boolean {
  using client = clientOf()
  return client !== undefined
}

/** undefined: this process may not ask. */
function tried(ask: () => boolean): boolean | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

function connections(sysctls: NamespaceFacts['sysctls']): NodeFacts['connections'] {
  const [entries, limit] = ['count', 'max'].map((name) => sysctls[`net/netfilter/nf_conntrack_${name}`])
  return entries === undefined || limit === undefined ? undefined : { entries: Number(entries), most: Number(limit) }
}
