// A lab that is broken on purpose: what its pods reach, what its agents tell, and what is in its kernels and its API.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode, askAll } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { connect } from '#/cluster/connect.ts'
import { eventsPath, nodesPath, podsPath } from '#/cluster/paths.ts'
import { type Family } from '#/lib/addr.ts'
import { type KubeNode, type KubeObject, type Pod, podCIDRsOf } from '#/model/kubernetes.ts'
import { probeLab, probePods } from '#/lab/connectivity.ts'
import { LabPaths } from '#/lab/paths.ts'
import { readPolicies } from '#/lab/policies.ts'
import { isAsItShouldBe, type ProbeResult, type Protocol } from '#/lab/probe/types.ts'
import { labNodes } from '#/lab/spec.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { labNetns } from '#/lab/underlay.ts'
import { run } from '../e2e/harness.ts'

export type Told = { readonly node: string; readonly code: string; readonly object: string; readonly message: string }

/** A probe between two pods, with the nodes they are on. */
export type Probed = {
  readonly from: string
  readonly to: string
  readonly fromNode: string
  readonly toNode: string
  readonly family: Family
  readonly protocol: Protocol
  readonly isFine: boolean
  readonly outcome: ProbeResult['outcome']
}

function agentsIn(lab: string): AgentOfNode[] {
  const paths = new LabPaths(lab)
  return labNodes(readSpec(paths)!).map(({ name }) => ({
    node: name,
    transport: socketTransport(paths.agentSocket(name)),
  }))
}

/** What agents tell, those of nodes whose agents answer. */
export async function toldIn(lab: string): Promise<Told[]> {
  const answers = await askAll(agentsIn(lab), 'status')
  return answers.flatMap(({ node, outcome }) =>
    outcome.kind === 'answer'
      ? outcome.value.problems.map(({ code, object, message }) => ({ node, code, object, message }))
      : [],
  )
}

/** The codes that agents find when they compare what they know of pods with the kernel: `causeway ipam check`. */
export async function codesOfCheck(lab: string): Promise<string[]> {
  const answers = await askAll(agentsIn(lab), 'ipamCheck')
  return answers.flatMap(({ outcome }) =>
    outcome.kind === 'answer' ? outcome.value.findings.map(({ code }) => code) : [],
  )
}

/** The codes that Events of the lab have, from when they were told last. */
export async function codesOfEvents(lab: string, sinceMs: number): Promise<string[]> {
  await using client = await connect({ kubeconfig: new LabPaths(lab).kubeconfig })
  const { items } = await client.list<KubeObject & { message?: string; lastTimestamp?: string }>(eventsPath('default'))
  // whole seconds
  const recent = items.filter(({ lastTimestamp }) => Date.parse(lastTimestamp ?? '') >= sinceMs - 1000)
  return recent.flatMap(({ message }) => /^CW\d{4}/.exec(message ?? '')?.[0] ?? [])
}

/** Whether the agents of all nodes answer that they are ready. */
export async function isReadyIn(lab: string): Promise<boolean> {
  return (await askAll(agentsIn(lab), 'readyz')).every(({ outcome }) => outcome.kind === 'answer')
}

/** Probes every pair of pods. */
export async function probedIn(lab: string): Promise<Probed[]> {
  await using client = await connect({ kubeconfig: new LabPaths(lab).kubeconfig })
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  const { items: all } = await client.list<Pod>(podsPath())
  const pods = probePods(lab, all)
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]))
  const results = await probeLab(pods, await readPolicies(client, { nodes, pods: all }))
  return results.map((result) => ({
    from: result.from,
    to: result.to,
    fromNode: nodeOf.get(result.from)!,
    toNode: nodeOf.get(result.to)!,
    family: result.family,
    protocol: result.protocol,
    isFine: isAsItShouldBe(result),
    outcome: result.outcome,
  }))
}

/** What changes by itself: counters, what conntrack has learned, how long addresses are valid. */
function still(text: string): string {
  return (
    text
      // Causeway's own tables follow what the agent plans, such as a tunnel that it keeps for a while after its last use
      .replaceAll(/^table \w+ causeway[\w-]* \{\n[^]*?^\}$/gm, '')
      .replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
      .replaceAll(/valid_lft \S+ preferred_lft \S+/g, '')
      .replaceAll(/expires \S+/g, '')
      .replaceAll(/^[:#].*$/gm, '')
      // a device that is made anew has another number; the name of a namespace is not always found
      .replaceAll(/^\d+: (\S+?)(@if\d+)?(:| )/gm, '$1 ')
      .replaceAll(/ link-netns(id)? \S+| linkdown\b/g, '')
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '' && !/^\*|^COMMIT/.test(line))
      .join('\n')
  )
}

const mostTries = 10
const pauseMs = 100

const looks = [
  'nft list ruleset',
  'ip rule',
  'ip -6 rule',
  'ip -4 route show table all',
  'ip -6 route show table all',
  'ip -o addr',
  'ip -o link',
  'ip neigh show nud permanent',
  'ip -6 neigh show nud permanent',
  'iptables-legacy-save',
  'ip6tables-legacy-save',
  'tc qdisc',
  // sysctl(8) reads all there are before it chooses, which takes ten times as long
  `cd /proc/sys/net; grep -s . ipv4/ip_forward ipv[46]/conf/*/*forwarding ipv4/conf/*/*rp_filter ipv6/conf/*/disable_ipv6 bridge/bridge-nf-*`,
  'ethtool -k eth0',
]

/** A list of devices is cut off when the namespace of one's other end goes meanwhile, such as that of a process: it is asked for again. */
async function lookedInto(netns: string, script: string): Promise<string> {
  for (let tries = 1; ; tries++) {
    const { stdout } = run('ip', ['netns', 'exec', netns, 'sh', '-c', script])
    if (!stdout.includes('Peer netns reference is invalid') || tries === mostTries) return stdout
    await sleep(pauseMs)
  }
}

/**
 * Without a tunnel its device is kept for some minutes all the same, and pods' routes have its MTU until it goes; routes come and go with sessions of
 * BGP.
 */
function withoutTunnel(text: string): string {
  return text.replaceAll(/^.*(cw-vxlan|proto 67).*\n?/gm, '').replaceAll(/(dev eth0( metric \d+)?) mtu \d+/g, '$1')
}

/** All that a fault may change in a lab's kernels and in its Node objects, as text by its place. */
export async function stateOf(lab: string): Promise<Map<string, string>> {
  const state = new Map<string, string>()
  const isNative = readSpec(new LabPaths(lab))!.routing === 'native'
  for (const netns of labNetns(lab)) {
    const script = looks.map((look) => `echo "= ${look}"; ${look} 2>&1`).join('\n')
    const text = still(await lookedInto(netns, script))
    state.set(netns, isNative ? withoutTunnel(text) : text)
  }
  await using client = await connect({ kubeconfig: new LabPaths(lab).kubeconfig })
  const { items } = await client.list<KubeNode>(nodesPath())
  for (const node of items) {
    const addresses = JSON.stringify((node.status as { addresses?: unknown } | undefined)?.addresses)
    state.set(`node ${node.metadata.name}`, `${podCIDRsOf(node).prefixes.join(' ')} ${addresses}`)
  }
  return state
}

/** The first places that differ, for people. */
export function differences(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((place) => {
    const [was, is] = [before, after].map((state) => (state.get(place) ?? '').split('\n'))
    const gone = was!.filter((line) => !is!.includes(line)).map((line) => `${place}: - ${line}`)
    const come = is!.filter((line) => !was!.includes(line)).map((line) => `${place}: + ${line}`)
    return [...gone, ...come]
  })
}
