// The node of the truth table, with real pods, rules and programs: pods of x and y are its own; those of z, the world and the other node are
// addresses of a second namespace, on which no policy acts.
import { Netlink } from '#/kernel/netlink.ts'
import { Addr } from '#/lib/addr.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { IPCTNL_MSG_CT_DELETE } from '#/wire/netlink/conntrack.ts'
import { EbpfNode } from '../netns/ebpf-node.ts'
import { TestNetns } from '../netns/namespace.ts'
import { type Change, namespaceNames, namespaceObject, podNames, podObject, remoteNamespace } from './model.ts'
import { PolicySubject } from './policy-subject.ts'
import { type Place } from './prober.ts'

const addrsOf = {
  'node-1': ['172.30.1.1', 'fd30::1'],
  'node-2': ['172.30.1.2', 'fd30::2'],
  world: ['192.0.2.7', '2001:db8::7'],
} as const

const parse = (texts: readonly string[]): Addr[] => texts.map((text) => Addr.parse(text))

type TruthPod = {
  readonly key: string
  readonly id: string
  readonly netns: TestNetns
  readonly addrs: readonly Addr[]
}

export class TruthNode implements AsyncDisposable {
  readonly #made = new AsyncDisposableStack()
  readonly node = this.#made.use(new EbpfNode())
  readonly #other = this.#made.use(new TestNetns())
  readonly #pods = new Map<string, TruthPod>()
  /** The next address of a pod on the other node. */
  #remote = 10
  #count = 0
  readonly subject: PolicySubject

  private constructor() {
    this.subject = this.#made.use(new PolicySubject(this.node))
  }

  static async create(datapath: DatapathName): Promise<TruthNode> {
    const truth = new TruthNode()
    const { node } = truth
    node.wanted = datapath
    node.routing = 'native'
    node.host.sh(`ip link set u1 netns ${truth.#other.name}
      ip -6 route add fd10:244:0:2::/65 via fd30::2 proto static
      ip route add 192.0.2.0/24 via 172.30.1.2; ip -6 route add 2001:db8::/32 via fd30::2`)
    truth.#other.sh(`ip link set lo up; ip link set u1 up
      ip addr add 172.30.1.2/24 dev u1; ip addr add fd30::2/64 dev u1 nodad
      ip addr add 192.0.2.7/32 dev lo; ip addr add 2001:db8::7/128 dev lo nodad
      ip route add 10.244.1.0/24 via 172.30.1.1; ip -6 route add fd10:244:0:1::/64 via fd30::1`)
    node.addNode(2, ['10.244.2.0/24', 'fd10:244:0:2::/64'], ['172.30.1.2', 'fd30::2'])
    await node.settle()
    // a link-local address that is not settled yet asks for no neighbour
    node.host.sh('ping -n -c1 -W2 172.30.1.2; ping -n -c1 -W2 fd30::2')
    truth.#other.sh('ping -n -c1 -W2 172.30.1.1; ping -n -c1 -W2 fd30::1')
    for (const name of ['node-1', 'node-2'] as const) truth.subject.setNode(name, parse(addrsOf[name]))
    truth.reset()
    for (const namespace of namespaceNames) for (const pod of podNames) truth.#make(`${namespace}/${pod}`)
    await node.settle()
    await truth.subject.start()
    return truth
  }

  get view(): PolicyView {
    return this.subject.view
  }

  get places(): readonly Place[] {
    const pods = [...this.#pods.values()].map(({ key, netns, addrs }) => ({
      name: key,
      netns,
      addrs,
      device: key.startsWith(`${remoteNamespace}/`) ? 'u1' : 'eth0',
    }))
    const outside = (['node-2', 'world'] as const).map((name) => ({
      name,
      netns: this.#other,
      device: 'u1',
      addrs: parse(addrsOf[name]),
    }))
    // what comes from its own pods comes by the bridge
    const own = { name: 'node-1', netns: this.node.host, device: 'cw-br0', addrs: parse(addrsOf['node-1']) }
    return [...pods, ...outside, own]
  }

  /** The pods that were there at the start, with labels, and namespaces as at the start; no policy. */
  reset(): void {
    this.subject.dropPolicies()
    for (const name of namespaceNames) this.subject.put(namespaceObject(name))
    this.subject.removePod('y/job')
    for (const pod of this.#pods.values()) this.#describe(pod)
    this.subject.flush()
  }

  /** What connection tracking keeps of packets of before would fill its table. */
  #forgetConnections(): void {
    using netlink = new Netlink(NETLINK_NETFILTER, this.node.host.netns)
    netlink.execute({ what: 'conntrack -F', type: IPCTNL_MSG_CT_DELETE, payload: new Uint8Array(4) })
  }

  change(changes: readonly Change[]): void {
    this.#forgetConnections()
    for (const change of changes) this.#one(change)
    this.subject.flush()
  }

  #one(change: Change): void {
    if ('put' in change) this.subject.put(change.put)
    else if ('drop' in change) this.subject.drop(change.drop)
    else if ('relabel' in change) this.#describe(this.#pods.get(change.relabel)!, change.labels)
    else if ('namespace' in change)
      this.subject.put(namespaceObject(change.namespace, change.labels, change.annotations))
    else if ('renew' in change) this.#renew(change.renew)
    else {
      const addrs = this.#pods.get(change.addrsOf)!.addrs.map(String)
      const { labels } = change
      this.subject.put(podObject(change.ended, { addrs, labels, phase: 'Succeeded' }))
    }
  }

  #describe(pod: TruthPod, labels?: Readonly<Record<string, string>>): void {
    const options = { addrs: pod.addrs.map(String), uid: `uid-${pod.id}`, ...(labels && { labels }) }
    this.subject.put(podObject(pod.key, options))
  }

  #make(key: string): void {
    const id = `${key.replace('/', '-')}-${++this.#count}`
    const [namespace, name] = key.split('/') as [string, string]
    if (namespace === remoteNamespace) {
      const last = this.#remote++
      const addrs = parse([`10.244.2.${last}`, `fd10:244:0:2::${last}`])
      this.#other.sh(`ip addr add ${addrs[0]}/32 dev lo; ip addr add ${addrs[1]}/128 dev lo nodad`)
      this.#know({ key, id, netns: this.#other, addrs })
      return
    }
    // as the agent does it: labels are known before the pod is wired, and its rules are there before it is
    const netns = this.node.add(id)
    const { addrs, hostDevice } = this.node.agent.store.find({ containerId: id, ifName: 'eth0' })!
    const pod = { key, id, netns, addrs: addrs.map(({ addr }) => addr) }
    this.#know(pod)
    this.subject.setLocal({ hostDevice, namespace, name, uid: `uid-${id}`, addrs: pod.addrs })
  }

  #know(pod: TruthPod): void {
    this.#pods.set(pod.key, pod)
    this.#describe(pod)
  }

  #renew(key: string): void {
    const pod = this.#pods.get(key)!
    this.subject.removePod(key)
    if (pod.netns !== this.#other) {
      this.subject.removeLocal(this.node.deviceOf(pod.id))
      this.node.delete(pod.id)
    } else for (const addr of pod.addrs) this.#other.sh(`ip addr del ${addr} dev lo`)
    this.#make(key)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}
