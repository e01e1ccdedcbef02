// What a fault is: somebody else's change to a running lab, made of real kernel and API objects, that can be taken back exactly.
import { type ApiClient } from '#/cluster/client.ts'
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type LabNode, type LabSpec } from '../spec.ts'

/** A node of the lab, with what the API says of it. */
export type FaultNode = LabNode & { readonly netns: string; readonly podCIDRs: readonly Prefix[] }

/** A pod of the lab that has a network of its own. */
export type FaultPod = {
  readonly namespace: string
  readonly name: string
  readonly title: string
  readonly node: string
  readonly netns: string
  readonly addrs: readonly Addr[]
  readonly labels: Readonly<Record<string, string>>
}

/** A device in a namespace of the lab. */
export type FaultDevice = { readonly netns: string; readonly device: string }

/** A command: words separated by single spaces, or the words themselves where one of them has spaces. */
export type Command = string | readonly string[]

/**
 * What a fault acts on, and how. Each of its acts is noted before it is done, with what takes it back; so a fault that is interrupted
 * anywhere can be taken back by another process.
 */
export type Scene = {
  readonly spec: LabSpec
  /** The node that the fault strikes. */
  readonly node: FaultNode
  /** Another node: the one whose packets with `node` are concerned. Throws LabError in a lab of one node. */
  readonly peer: FaultNode
  /** The pod that the fault strikes, and one on the other node. Throw LabError when there is none. */
  readonly pod: FaultPod
  readonly peerPod: FaultPod
  readonly nodes: readonly FaultNode[]
  readonly families: readonly Family[]
  readonly client: ApiClient
  /** The folder of the lab for what faults need; nothing in it is noted, and it goes with the lab. */
  readonly folder: string
  /** The end of a node's cable at the switch of its subnet: what happens there happens outside of all nodes. */
  portOf: (node: FaultNode) => FaultDevice
  /** The router's device in a node's subnet, in a lab without racks. */
  bridgeOf: (node: FaultNode) => FaultDevice
  /** Both ends of the cable from a node's rack to the spine, in a lab with racks. */
  uplinkOf: (node: FaultNode) => readonly FaultDevice[]
  /** The addresses of the underlay to which a node's packets for another one go next. */
  nextHopsTo: (peer: FaultNode) => readonly Addr[]

  /** Runs a command in a namespace; `undo` takes back exactly what it does, and may find it gone. Throws LabError with its words. */
  run: (netns: string, does: Command, undo: Command) => void
  /** Runs a command that changes nothing; returns what it prints. */
  read: (netns: string, command: Command) => string
  /** Makes an nftables table of a name that is not taken; `body` are the commands that fill it. */
  table: (netns: string, family: string, name: string, body: readonly string[]) => void
  sysctl: (netns: string, key: string, value: string) => void
  /** The folder of CNI configurations of a node, below the lab's folder. */
  confFolderOf: (node: FaultNode) => string
  /** Writes a file, below the lab's folder, that is not there yet; returns its whole path. */
  file: (path: string, text: string) => string
  /** Creates an object below a path of the API. */
  create: (path: string, object: KubeManifest) => Promise<void>
  /** Merges `change` into an object, and `undo` to take it back. */
  patch: (path: string, change: object, undo: object) => Promise<void>
  /** Makes entries of connection tracking in a namespace until there is room for no other. */
  fillConntrack: (netns: string) => Promise<void>
  /** Registers a node anew with other pod CIDRs, as with a deleted Node object and a restarted kubelet. */
  reregister: (node: FaultNode, podCIDRs: readonly Prefix[]) => Promise<void>
  /** Starts a process in a namespace that stays until the fault is taken back. */
  daemon: (netns: string, command: readonly string[]) => void
  /** Stops a node's agent without a chance to clean up; taking it back starts it again. */
  killAgent: (node: FaultNode) => Promise<void>
  startAgent: (node: FaultNode) => void
  /** Halts a node's agent where it is (SIGSTOP). */
  freezeAgent: (node: FaultNode) => void
  /** Notes a command with which taking back restores what the kernel takes away beside what an act says. */
  restore: (netns: string, command: Command) => void
  /** Notes that taking back gives the node the underlay that the lab gives nodes: the kernel takes more away than can be told beforehand. */
  restoreUnderlay: (node: FaultNode) => void
}

export type KubeManifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

export type Fault = {
  /** In kebab-case. */
  readonly name: string
  /** What is wrong, in one line. */
  readonly about: string
  /** Where its objects are, for people. */
  readonly where: string
  /** The codes by which `causeway status` tells it, on whichever node, an Event of a Node object, or `causeway ipam check`; none where nothing tells it. */
  readonly codes: readonly ProblemCode[]
  /** The same in a lab with racks, where these are others: there routers take a way back that is broken, before a probe of it has no answer. */
  readonly codesInRacks?: readonly ProblemCode[]
  /** The codes of what `causeway doctor` finds, where these are not the same. */
  readonly doctor?: readonly ProblemCode[]
  /** The same in a lab with flannel, where these are others: nobody probes there. */
  readonly doctorWithFlannel?: readonly ProblemCode[]
  /** Why a lab of this kind cannot have it; undefined when it can. */
  readonly needs?: (spec: LabSpec) => string | undefined
  readonly cause: (scene: Scene) => void | Promise<void>
}

/** The words of a command. */
export function wordsOf(command: Command): readonly string[] {
  return typeof command === 'string' ? command.split(' ') : command
}

/** A command as a person would type it. */
export function commandText(command: Command): string {
  return wordsOf(command)
    .map((word) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word}'`))
    .join(' ')
}

/** What `causeway status`, Events or `causeway ipam check` tell in a lab of this kind; in that of most kinds, where none is given. */
export function codesTold({ codes, codesInRacks = codes }: Fault, spec?: LabSpec): readonly ProblemCode[] {
  return spec?.racks === undefined ? codes : codesInRacks
}

/** What doctor is to find, and nothing else. */
export function codesOfDoctor(fault: Fault, spec?: LabSpec): readonly ProblemCode[] {
  const { codes, doctor = codes, doctorWithFlannel = doctor } = fault
  return spec?.network === undefined ? doctor : doctorWithFlannel
}
