// A scene that only writes down what a fault would do, for tests.
import { type ApiClient } from '#/cluster/client.ts'
import { type Addr, Prefix } from '#/lib/addr.ts'
import {
  familiesOf,
  gatewaysOf,
  labNodes,
  type LabSpec,
  netnsPrefix,
  nodeMaskSizes,
  nodeNetns,
  podNetns,
} from '../spec.ts'
import { type Command, type FaultNode, type FaultPod, type Scene, wordsOf } from './fault.ts'

export type Act = { readonly netns?: string; readonly does: string; readonly undo: string }

function cidrsOf(spec: LabSpec, index: number): Prefix[] {
  return spec.clusterCIDRs.map(({ addr, family }) => {
    const length = nodeMaskSizes[family]
    return new Prefix(addr.plus(BigInt(index) << BigInt(family === 4 ? 32 - length : 128 - length)), length)
  })
}

/** What tools print that faults read before they change anything. */
const printed: readonly (readonly [RegExp, string])[] = [
  [/link show dev eth0/, '2: eth0@if5: <UP> mtu 1500 qdisc noqueue\n'],
  [/proc\/net\/(tcp|udp)/, '   0: 00000000:00B3 00000000:0000 0A\n   1: 00000000:0EC8 00000000:0000 07\n'],
  [/-4 route show dev/, '10.244.0.0/24 proto kernel scope link src 10.244.0.2 \ndefault via 10.244.0.1 \n'],
  [
    /-6 route show dev/,
    'fe80::/64 proto kernel metric 256 pref medium\ndefault via fd10:244::1 metric 1024 pref medium\n',
  ],
  [/-4 -o addr show/, '2: eth0    inet 10.244.0.2/24 scope global eth0\n'],
  [/-6 -o addr show/, '2: eth0    inet6 fd10:244::2/64 scope global \n'],
  [/bridge-nf-call/, '1\n'],
]

export class RecordingScene implements Scene {
  readonly spec: LabSpec
  readonly acts: Act[] = []
  readonly nodes: readonly FaultNode[]
  readonly folder = '/nowhere'

  constructor(spec: LabSpec) {
    this.spec = spec
    this.nodes = labNodes(spec).map((node, index) => ({
      ...node,
      netns: nodeNetns(spec.name, node.name),
      podCIDRs: cidrsOf(spec, index),
    }))
  }

  #podOf(node: FaultNode, name: string): FaultPod {
    const netns = podNetns(this.spec.name, 'default', name)
    const addrs = node.podCIDRs.map((cidr) => cidr.at(2))
    return { namespace: 'default', name, title: name, node: node.name, netns, addrs, labels: { app: 'web' } }
  }

  get node(): FaultNode {
    return this.nodes[0]!
  }
  get peer(): FaultNode {
    return this.nodes[1]!
  }
  get pod(): FaultPod {
    return this.#podOf(this.node, 'web-1')
  }
  get peerPod(): FaultPod {
    return this.#podOf(this.peer, 'web-2')
  }
  get families() {
    return familiesOf(this.spec)
  }
  get client(): ApiClient {
    throw new Error('a recording scene has no API')
  }

  portOf({ name }: FaultNode) {
    return { netns: `${netnsPrefix(this.spec.name)}${this.spec.racks ? 'switches' : 'router'}`, device: name }
  }
  bridgeOf({ subnet }: FaultNode) {
    return { netns: `${netnsPrefix(this.spec.name)}router`, device: `subnet-${subnet}` }
  }
  uplinkOf({ subnet }: FaultNode) {
    const prefix = netnsPrefix(this.spec.name)
    return [
      { netns: `${prefix}rack-${subnet}`, device: 'spine' },
      { netns: `${prefix}router`, device: `rack-${subnet}` },
    ]
  }
  nextHopsTo(peer: FaultNode): readonly Addr[] {
    return peer.subnet === this.node.subnet
      ? peer.addrs
      : this.families.flatMap((family) => gatewaysOf(this.spec, family, this.node.subnet))
  }

  run(netns: string, does: Command, undo: Command): void {
    this.acts.push({ netns, does: wordsOf(does).join(' '), undo: wordsOf(undo).join(' ') })
  }
  read(_netns: string, command: Command): string {
    const text = wordsOf(command).join(' ')
    return printed.find(([pattern]) => pattern.test(text))?.[1] ?? ''
  }
  table(netns: string, family: string, name: string, body: readonly string[]): void {
    this.run(netns, `nft create table ${family} ${name}; ${body.join('; ')}`, `nft delete table ${family} ${name}`)
  }
  sysctl(netns: string, key: string, value: string): void {
    this.run(netns, `sysctl ${key}=${value}`, `sysctl ${key}=before`)
  }
  confFolderOf({ name }: FaultNode): string {
    return `nodes/${name}/net.d`
  }
  file(path: string, text: string): string {
    this.acts.push({ does: `write ${path} ${text}`, undo: `delete ${path}` })
    return `/nowhere/${path}`
  }
  async create(path: string, object: object): Promise<void> {
    this.acts.push({ does: `create ${path} ${JSON.stringify(object)}`, undo: 'delete it' })
  }
  async patch(path: string, change: object, undo: object): Promise<void> {
    this.acts.push({ does: `patch ${path} ${JSON.stringify(change)}`, undo: JSON.stringify(undo) })
  }
  async reregister(node: FaultNode, podCIDRs: readonly Prefix[]): Promise<void> {
    this.acts.push({ does: `register ${node.name} with ${podCIDRs.join(' ')}`, undo: node.podCIDRs.join(' ') })
  }
  async fillConntrack(netns: string): Promise<void> {
    this.acts.push({ netns, does: 'make entries', undo: 'delete them' })
  }
  daemon(netns: string, command: readonly string[]): void {
    this.acts.push({ netns, does: command.join(' '), undo: 'end it' })
  }
  async killAgent({ name, netns }: FaultNode): Promise<void> {
    this.acts.push({ netns, does: `kill the agent of ${name}`, undo: 'start it' })
  }
  startAgent(): void {}
  freezeAgent({ name, netns }: FaultNode): void {
    this.acts.push({ netns, does: `halt the agent of ${name}`, undo: 'go on' })
  }
  restore(netns: string, command: Command): void {
    this.acts.push({ netns, does: '', undo: wordsOf(command).join(' ') })
  }
  restoreUnderlay({ name, netns }: FaultNode): void {
    this.acts.push({ netns, does: '', undo: `the underlay of ${name}` })
  }
}
