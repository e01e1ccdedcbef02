// Does what faults do, and notes each act before it is done.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError, isApiError } from '#/cluster/errors.ts'
import { nodePath } from '#/cluster/paths.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type KubeNode, labelsOf } from '#/model/kubernetes.ts'
import { fillConntrack } from '#/kernel/conntrack-entries.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { readSysctl, writeSysctl } from '#/sys/sysctl.ts'
import { agentStart } from '../agents.ts'
import { agentRole } from '../roles.ts'
import { LabPaths } from '../paths.ts'
import { labProcesses, signalProcesses, startProcess, stopProcesses } from '../processes.ts'
import { bridgeOf } from '../underlay.ts'
import { routersOf, spineDevice } from '../routers/fabric.ts'
import { familiesOf, gatewaysOf, LabError, type LabSpec, routerNetns, switchesNetns } from '../spec.ts'
import { execute, ofLab } from './execute.ts'
import { type Facts, type Target } from './facts.ts'
import {
  type Command,
  commandText,
  type FaultDevice,
  type FaultNode,
  type FaultPod,
  type KubeManifest,
  type Scene,
  wordsOf,
} from './fault.ts'
import { type FaultRecord, type FaultRecords, type Made } from './records.ts'
import { reregister } from './reregister.ts'

/** The mark of entries of connection tracking that a fault makes. */
const conntrackMark = 0x6661756c
/** The kernel takes some 300 bytes for each. */
const mostEntries = 300_000

export type SceneContext = {
  /** The command line's interpreter and script. */
  readonly causeway: readonly string[]
  readonly client: ApiClient
  readonly records: FaultRecords
}

export class LabScene implements Scene {
  readonly spec: LabSpec
  readonly #facts: Facts
  readonly #target: Target
  readonly #context: SceneContext
  readonly #paths: LabPaths
  #record: FaultRecord
  #strikesPod = false

  constructor(
    fault: string,
    spec: LabSpec,
    { facts, target }: { facts: Facts; target: Target },
    context: SceneContext,
  ) {
    this.spec = spec
    this.#facts = facts
    this.#target = target
    this.#context = context
    this.#paths = new LabPaths(spec.name)
    this.#record = { fault, node: target.node.name, sinceMs: Date.now(), isWhole: false, made: [] }
  }

  get record(): FaultRecord {
    return this.#record
  }

  get node(): FaultNode {
    return this.#target.node
  }

  get nodes(): readonly FaultNode[] {
    return this.#facts.nodes
  }

  get peer(): FaultNode {
    const peer = this.#facts.nodes.find(({ name }) => name !== this.node.name)
    if (peer === undefined)
      throw new LabError('this fault is between two nodes, and the lab has one: causeway lab up --nodes 2')
    return peer
  }

  get pod(): FaultPod {
    const { pod } = this.#target
    if (pod === undefined) throw new LabError(`no pod runs on ${this.node.name}`)
    if (!this.#strikesPod) {
      this.#strikesPod = true
      this.#record = { ...this.#record, pod: pod.title }
    }
    return pod
  }

  get peerPod(): FaultPod {
    const pod = this.#facts.pods.find(({ node }) => node === this.peer.name)
    if (pod === undefined) throw new LabError(`no pod runs on ${this.peer.name}`)
    return pod
  }

  get families() {
    return familiesOf(this.spec)
  }

  get client(): ApiClient {
    return this.#context.client
  }

  get folder(): string {
    return this.#paths.faults
  }

  portOf({ name }: FaultNode): FaultDevice {
    const { racks, name: lab } = this.spec
    return { netns: racks ? switchesNetns(lab) : routerNetns(lab), device: name }
  }

  /** The bridge of a node's subnet, at the router. */
  bridgeOf({ subnet }: FaultNode): FaultDevice {
    return { netns: routerNetns(this.spec.name), device: bridgeOf(subnet) }
  }

  uplinkOf({ subnet }: FaultNode): FaultDevice[] {
    const tors = routersOf(this.spec).filter(({ rack }) => rack?.number === subnet)
    return tors.flatMap(({ name, netns }) => [
      { netns, device: spineDevice },
      { netns: routerNetns(this.spec.name), device: name },
    ])
  }

  nextHopsTo(peer: FaultNode): Addr[] {
    const { addrs, subnet } = this.node
    if (peer.subnet === subnet) return [...peer.addrs]
    return addrs.flatMap(({ family }) => gatewaysOf(this.spec, family, subnet))
  }

  /** Says that all of it is done. */
  finish(): FaultRecord {
    this.#record = { ...this.#record, isWhole: true }
    this.#context.records.save(this.#record)
    return this.#record
  }

  #note(made: readonly Made[]): void {
    this.#record = { ...this.#record, made }
    this.#context.records.save(this.#record)
  }

  /** Notes an act, does it, and forgets it when it fails: a command that fails has changed nothing. */
  #do(made: Made, act: () => void): void {
    const before = this.#record.made
    this.#note([...before, made])
    try {
      act()
    } catch (error) {
      this.#note(before)
      throw error
    }
  }

  run(netns: string, does: Command, undo: Command): void {
    const words = wordsOf(does)
    this.#do({ kind: 'command', netns, does: words, undo: wordsOf(undo) }, () => void this.#must(netns, words))
  }

  read(netns: string, command: Command): string {
    return this.#must(netns, wordsOf(command))
  }

  #must(netns: string, words: readonly string[]): string {
    const { isDone, stdout, stderr } = execute(this.spec.name, netns, words)
    if (!isDone) throw new LabError(`${netns}: ${commandText(words)}: ${stderr}`)
    return stdout
  }

  table(netns: string, family: string, name: string, body: readonly string[]): void {
    const undo = `delete table ${family} ${name}`
    const commands = [`create table ${family} ${name}`, ...body.map((line) => line.replace('@', `${family} ${name}`))]
    this.run(netns, ['nft', commands.join('; ')], ['nft', undo])
  }

  sysctl(netns: string, key: string, value: string): void {
    using inside = ofLab(this.spec.name, netns)
    const before = inside.run(() => readSysctl(key))
    if (before === undefined) throw new LabError(`${netns}: there is no sysctl ${key}`)
    if (before === value) throw new LabError(`${netns}: ${key} is ${value} already: there is nothing to break`)
    this.#do({ kind: 'sysctl', netns, key, value, before }, () => inside.run(() => writeSysctl(key, value)))
  }

  confFolderOf({ name }: FaultNode): string {
    return relative(this.#paths.dir, this.#paths.nodeCni(name).conf)
  }

  file(path: string, text: string): string {
    const whole = normalize(join(this.#paths.dir, path))
    if (!whole.startsWith(`${this.#paths.dir}/`)) throw new LabError(`${whole} is no file of lab "${this.spec.name}"`)
    if (existsSync(whole)) throw new LabError(`${whole} is there already`)
    this.#do({ kind: 'file', path: whole, text }, () => {
      mkdirSync(dirname(whole), { recursive: true })
      writeFileSync(whole, text)
    })
    return whole
  }

  async create(path: string, object: KubeManifest): Promise<void> {
    const own = `${path}/${object.metadata.name}`
    const before = this.#record.made
    // with the note the object counts as the fault's, so nobody else's may have its name
    if (await this.#exists(own)) throw new LabError(`${own} is there already`)
    this.#note([...before, { kind: 'created', path: own }])
    try {
      const { metadata } = await this.client.create<KubeNode>(path, object)
      this.#note([...before, { kind: 'created', path: own, ...(metadata.uid !== undefined && { uid: metadata.uid }) }])
    } catch (error) {
      // without an answer it may have been created all the same
      if (error instanceof ApiError) this.#note(before)
      throw error
    }
  }

  async #exists(path: string): Promise<boolean> {
    try {
      await this.client.get(path)
      return true
    } catch (error) {
      if (isApiError(error, 404)) return false
      throw error
    }
  }

  async patch(path: string, change: object, undo: object): Promise<void> {
    this.#note([...this.#record.made, { kind: 'patched', path, change, undo }])
    await this.client.patch(path, change, 'merge')
  }

  async reregister(node: FaultNode, podCIDRs: readonly Prefix[]): Promise<void> {
    const before = await this.client.get<KubeNode>(nodePath(node.name))
    const [cidrs, labels] = [node.podCIDRs.map(String), labelsOf(before)]
    this.#note([...this.#record.made, { kind: 'reregistered', node: node.name, cidrs, labels }])
    await reregister(this.client, this.spec, { node: node.name, cidrs: podCIDRs.map(String), labels })
  }

  async fillConntrack(netns: string): Promise<void> {
    using inside = ofLab(this.spec.name, netns)
    const max = Number(inside.run(() => readSysctl('net/netfilter/nf_conntrack_max')))
    if (!(max <= mostEntries))
      throw new LabError(
        `nf_conntrack_max of this machine is ${max}: filling that takes more than ${mostEntries} entries`,
      )
    using netlink = new Netlink(NETLINK_NETFILTER, inside)
    const before = this.#record.made
    this.#note([...before, { kind: 'conntrack', netns, mark: conntrackMark }])
    await fillConntrack(netlink, conntrackMark, max)
  }

  daemon(netns: string, command: readonly string[]): void {
    const role = `fault-${this.#record.fault}-${this.#record.made.length}`
    using inside = ofLab(this.spec.name, netns)
    const start = { lab: this.spec.name, role, command, env: {}, logFile: this.#paths.log(role), netns: inside }
    this.#do({ kind: 'daemon', netns, role, command }, () => startProcess(start))
  }

  async killAgent({ name }: FaultNode): Promise<void> {
    const role = agentRole(name)
    if (!labProcesses(this.spec.name).some((each) => each.role === role))
      throw new LabError(`the agent of ${name} does not run already`)
    this.#note([...this.#record.made, { kind: 'killed', node: name }])
    signalProcesses(this.spec.name, (each) => each === role, 'SIGKILL')
    await stopProcesses(this.spec.name, (each) => each === role)
  }

  startAgent({ name, netns }: FaultNode): void {
    using inside = ofLab(this.spec.name, netns)
    startProcess({ ...agentStart(this.spec, name, this.#context.causeway), netns: inside })
  }

  freezeAgent({ name }: FaultNode): void {
    this.#do({ kind: 'frozen', node: name }, () =>
      signalProcesses(this.spec.name, (each) => each === agentRole(name), 'SIGSTOP'),
    )
  }

  restore(netns: string, command: Command): void {
    this.#note([...this.#record.made, { kind: 'restore', netns, undo: wordsOf(command) }])
  }

  restoreUnderlay({ name }: FaultNode): void {
    this.#note([...this.#record.made, { kind: 'underlay', node: name }])
  }
}
