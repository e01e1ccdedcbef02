// Faults of Node objects: what a cluster says of its nodes is wrong, or contradicts itself.
import { nodesPath, nodeStatusPath } from '#/cluster/paths.ts'
import { Prefix } from '#/lib/addr.ts'
import { nodeMaskSizes, subnetCIDR } from '../spec.ts'
import { type Fault, type FaultNode, type KubeManifest, type Scene } from './fault.ts'
import { needsTwoNodes } from './shape.ts'

/** The host part of addresses that no node of the lab has. */
const unusedHost = 250

function unusedAddrs(scene: Scene, host = unusedHost): string[] {
  return scene.families.map((family) => String(subnetCIDR(family, scene.node.subnet).at(host)))
}

function addressesOf(addrs: readonly string[], hostname: string) {
  return [...addrs.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: hostname }]
}

function nodeManifest(
  name: string,
  podCIDRs: readonly string[],
  addrs: readonly string[],
  isReady = false,
): KubeManifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
    ...(podCIDRs.length > 0 && { spec: { podCIDR: podCIDRs[0], podCIDRs } }),
    status: {
      addresses: addressesOf(addrs, name),
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  }
}

const cidrsOf = ({ podCIDRs }: FaultNode): string[] => podCIDRs.map(String)

/** Pod CIDRs of a node that do not exist yet in the cluster CIDRs: the last ones. */
function lastCidrs(scene: Scene): Prefix[] {
  return scene.node.podCIDRs.flatMap(({ family, length }) => {
    const cluster = scene.spec.clusterCIDRs.find((cidr) => cidr.family === family)
    if (cluster === undefined) return []
    const size = 2n ** BigInt((family === 4 ? 32 : 128) - length)
    return [new Prefix(cluster.at(cluster.size - size), length)]
  })
}

/** The parts of an IPv4 range that nobody has yet, as few and as large as they can be. */
function freeParts(range: Prefix, owned: readonly Prefix[]): Prefix[] {
  if (!owned.some((cidr) => cidr.overlaps(range))) return [range]
  const length = range.length + 1
  if (length > nodeMaskSizes[4]) return []
  return [range.addr, range.at(range.size / 2n)].flatMap((addr) => freeParts(new Prefix(addr, length), owned))
}

/** A pod CIDR in the second half of an IPv6 cluster CIDR, where no node of the lab has one. */
function lateCidr(cluster: Prefix, index: number): Prefix {
  const size = 2n ** BigInt(128 - nodeMaskSizes[6])
  return new Prefix(cluster.at(cluster.size / 2n + BigInt(index) * size), nodeMaskSizes[6])
}

export const nodeFaults: readonly Fault[] = [
  {
    name: 'node-cidr-overlap',
    about: 'a new Node object claims the pod CIDRs of a node that is alive',
    where: 'a Node object',
    codes: ['CW1103'],
    cause: async (scene) =>
      scene.create(nodesPath(), nodeManifest('aaa-twin', cidrsOf(scene.node), unusedAddrs(scene))),
  },
  {
    name: 'node-cidr-wide',
    about: 'a new Node object claims all cluster CIDRs for itself',
    where: 'a Node object',
    codes: ['CW1110'],
    cause: async (scene) =>
      scene.create(nodesPath(), nodeManifest('zz-wide', scene.spec.clusterCIDRs.map(String), unusedAddrs(scene))),
  },
  {
    name: 'node-cidr-outside',
    about: 'a new Node object has pod CIDRs outside of the cluster CIDRs',
    where: 'a Node object',
    codes: ['CW1105'],
    cause: async (scene) => {
      const cidrs = scene.families.map((family) => (family === 4 ? '192.168.77.0/24' : 'fd99:77::/64'))
      await scene.create(nodesPath(), nodeManifest('zz-elsewhere', cidrs, unusedAddrs(scene)))
    },
  },
  {
    name: 'node-cidr-changed',
    about:
      'a node was registered anew with other pod CIDRs, and another node got its former ones: its pods are cut off',
    where: 'Node objects',
    codes: ['CW1107'],
    needs: needsTwoNodes,
    cause: async (scene) => {
      const former = cidrsOf(scene.node)
      await scene.reregister(scene.node, lastCidrs(scene))
      await scene.create(nodesPath(), nodeManifest('zz-heir', former, unusedAddrs(scene), true))
    },
  },
  {
    name: 'node-address-twice',
    about: "the Node object of a host's former name is still there, with the address of a node",
    where: 'a Node object',
    codes: ['CW1104'],
    cause: async (scene) =>
      scene.create(nodesPath(), nodeManifest('aaa-former-name', [], scene.node.addrs.map(String))),
  },
  {
    name: 'node-address-wrong',
    about: 'a Node object has addresses that are on no device, and other nodes send there',
    where: "status.addresses of the node's Node object",
    codes: ['CW1108'],
    needs: needsTwoNodes,
    cause: async (scene) => {
      const { name, addrs } = scene.node
      const status = (all: readonly string[]) => ({ status: { addresses: addressesOf(all, name) } })
      await scene.patch(nodeStatusPath(name), status(unusedAddrs(scene)), status(addrs.map(String)))
    },
  },
  {
    name: 'cluster-cidrs-used-up',
    about: 'all of the cluster CIDRs is given to nodes, and a new node gets none',
    where: 'Node objects',
    codes: ['CW1109'],
    needs: ({ families, clusterCIDRs }) => {
      const [first, ...more] = clusterCIDRs.filter(({ family }) => family === 4)
      if (families === 'ipv6') return 'its IPv6 cluster CIDRs have room for more nodes than objects can be made'
      return first === undefined || more.length > 0 || first.length > 20
        ? 'it is for one IPv4 cluster CIDR of /20 or larger'
        : undefined
    },
    cause: async (scene) => {
      const [cluster] = scene.spec.clusterCIDRs.filter(({ family }) => family === 4)
      const owned = scene.nodes.flatMap(({ podCIDRs }) => podCIDRs)
      for (const [index, part] of freeParts(cluster!, owned).entries()) {
        const addrs = unusedAddrs(scene, unusedHost - 1 - index)
        const cidrs = [
          part,
          ...scene.spec.clusterCIDRs.filter(({ family }) => family === 6).map((all) => lateCidr(all, index)),
        ]
        await scene.create(nodesPath(), nodeManifest(`zz-claim-${index + 1}`, cidrs.map(String), addrs))
      }
      await scene.create(nodesPath(), nodeManifest('zz-late', [], unusedAddrs(scene)))
    },
  },
]
