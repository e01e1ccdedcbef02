// The ways that packets go in the benchmark of datapaths: between nodes and pods of labs, and as flannel makes them on the same underlay.
import { nodeNetns, routerNetns } from '#/lab/spec.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type Netns } from '#/sys/netns.ts'
import { type Path } from './flows.ts'
import { BenchLab } from './lab.ts'
import { RigError, shellIn, waitUntil } from './netns.ts'
import { type Rig } from './rig.ts'

/** A way from one end to the other, and what to change about it before and after it is measured. */
export type Case = {
  readonly name: string
  readonly path: Path
  readonly before?: () => void
  readonly after?: () => void
}
export type Measured<F> = { readonly name: string; readonly flows: readonly F[] }

/** Measures all cases in turn, every other round in the other order. */
export async function measureAll<F>(
  cases: readonly Case[],
  rounds: number,
  measure: (path: Path) => Promise<F>,
  say: (line: string) => void,
): Promise<Measured<F>[]> {
  const measured = cases.map(({ name }) => ({ name, flows: [] as F[] }))
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    const order = [...cases.entries()]
    for (const [index, { path, before, after }] of round % 2 === 0 ? order.toReversed() : order) {
      before?.()
      measured[index]!.flows.push(await measure(path))
      after?.()
    }
  }
  return measured
}

/** Network cards have GRO from the start, veths have not. */
const groAsOnCards = 'ethtool -K eth0 gro on'

export type RoutingName = 'vxlan' | 'native'

/** A lab of two nodes with a pod each. Throws RigError when a node has another datapath: its kernel lacks what the programs need. */
export async function twoNodes(rig: Rig, datapath: DatapathName, routing: RoutingName): Promise<BenchLab> {
  const shape = ['--nodes', '2', '--pods', '1', '--families', 'ipv4']
  const lab = await BenchLab.up(rig, [...shape, '--datapath', datapath, '--routing', routing])
  const others = lab.nodes.filter((node) => node.datapath !== datapath)
  if (others.length > 0)
    throw new RigError(`${others.map(({ name }) => name).join(', ')}: not with the datapath ${datapath}`)
  for (const node of [lab.node(1), lab.node(2)]) {
    shellIn(node, groAsOnCards)
    if (routing === 'vxlan') await tunnelSettled(node)
  }
  return lab
}

/** Waits until the node's tunnel, if there is one, has left GRO to the underlay. */
async function tunnelSettled(node: Netns): Promise<void> {
  const isSettled = (): boolean =>
    shellIn(node, 'ethtool -k cw-vxlan 2>/dev/null | grep "^generic-receive-offload: on" || true') === ''
  await waitUntil('cw-vxlan without GRO', isSettled)
}

/** From the pod of one node to that of the other. */
export function podPath(lab: BenchLab): Path {
  const [from, to] = lab.pods
  return { from: lab.pod(from!.name), to: lab.pod(to!.name), addr: to!.addrs[0]! }
}

/** From node to node over the underlay. */
export function nodePath(lab: BenchLab): Path {
  return { from: lab.node(1), to: lab.node(2), addr: '172.30.1.12' }
}

/** A namespace that goes with the lab, with a cable from its eth0 to the lab's underlay. */
function beside(lab: BenchLab, name: string, addr: string): Netns {
  const netns = lab.made(name)
  const router = lab.opened(routerNetns(lab.name))
  shellIn(
    router,
    `ip link add ${name} type veth peer name eth0 netns ${nodeNetns(lab.name, name)}
    ip link set ${name} master subnet-1 up`,
  )
  shellIn(netns, `ip link set lo up; ip link set eth0 up; ip addr add ${addr} dev eth0; ${groAsOnCards}`)
  return netns
}

/** A pod of a namespace made with `beside`. */
function podBeside(lab: BenchLab, node: Netns, name: string): Netns {
  const pod = lab.made(name)
  shellIn(
    node,
    `ip link add ${name} type veth peer name eth0 netns ${nodeNetns(lab.name, name)}
    ip link set ${name} master cni0 up`,
  )
  return pod
}

const flannelHosts = ['172.30.1.101', '172.30.1.102'] as const
const flannelMac = (number: number): string => `02:42:00:00:00:0${number}`

/** The other one of two. */
export function peerOf(number: number): number {
  return 3 - number
}

/** What flannel's masquerading does to packets between pods: nothing, but every one of them is looked at. */
const flannelMasquerade = `nft add table ip flannel
  nft add chain ip flannel postrouting '{ type nat hook postrouting priority srcnat; }'
  nft add rule ip flannel postrouting ip saddr 10.99.0.0/16 ip daddr 10.99.0.0/16 return
  nft add rule ip flannel postrouting ip saddr 10.99.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random`

/** Between two nodes with a pod each, with the objects that flannel makes, on the underlay of a lab. */
export function flannelPath(lab: BenchLab): Path {
  const [from, to] = [1, 2].map((number) => {
    const name = `flannel-${number}`
    const node = beside(lab, name, `${flannelHosts[number - 1]}/24`)
    const peer = peerOf(number)
    shellIn(
      node,
      `sysctl -qw net.ipv4.ip_forward=1
      ip link add flannel.1 address ${flannelMac(number)} mtu 1450 type vxlan id 1 local ${flannelHosts[number - 1]} dev eth0 dstport 8472 nolearning
      ip addr add 10.99.${number}.0/32 dev flannel.1; ip link set flannel.1 up
      ip link add cni0 type bridge; ip addr add 10.99.${number}.1/24 dev cni0; ip link set cni0 mtu 1450 up
      ip neigh replace 10.99.${peer}.0 lladdr ${flannelMac(peer)} dev flannel.1 nud permanent
      bridge fdb append ${flannelMac(peer)} dev flannel.1 dst ${flannelHosts[peer - 1]} self permanent
      ip route replace 10.99.${peer}.0/24 via 10.99.${peer}.0 dev flannel.1 onlink
      ${flannelMasquerade}`,
    )
    const pod = podBeside(lab, node, `flannel-pod-${number}`)
    shellIn(
      pod,
      `ip link set lo up; ip link set eth0 mtu 1450 up; ip addr add 10.99.${number}.2/24 dev eth0
      ip route add default via 10.99.${number}.1`,
    )
    return pod
  })
  return { from: from!, to: to!, addr: '10.99.2.2' }
}
