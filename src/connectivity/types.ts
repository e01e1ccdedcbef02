// What a connectivity test has to go by, what it sends, and what became of that. Pure.
import { type PacketEnd } from '#/doctor/types.ts'
import { type Family } from '#/lib/addr.ts'
import { type Outcome } from '#/trace/verdict.ts'

export type TestNode = { readonly name: string; readonly addrs: readonly string[] }

export type Role = 'client' | 'server' | 'walled'

/** A pod of the test that is ready. */
export type TestPod = {
  /** NAMESPACE/NAME */
  readonly name: string
  readonly node: string
  readonly role: Role
  readonly addrs: readonly string[]
}

/** An address behind which others are. */
export type TestService = {
  /** NAMESPACE/NAME */
  readonly name: string
  /** Its cluster IPs; none where nothing in the cluster gives Services addresses. */
  readonly addrs: readonly string[]
  /** Of TCP; absent where it has none. */
  readonly port?: number
  readonly udpPort?: number
  readonly nodePort?: number
  /** The nodes of the pods behind it; absent: they are not known. */
  readonly backendNodes?: readonly string[]
}

/** Whether it is there is not known: why it could not be read. */
export type Unread = { readonly whyUnread: string }

/** An end outside of the cluster. */
export type Outside = {
  readonly addr: string
  readonly port?: number
  /** It is a router that was found, not one that was asked for: that it answers nobody says nothing. */
  readonly isGuessed: boolean
}

/** What there is to send between. */
export type Site = {
  readonly nodes: readonly TestNode[]
  readonly pods: readonly TestPod[]
  /** Of servers on a few nodes; absent: it could not be made. */
  readonly service?: TestService
  /** Of one client alone. */
  readonly hairpin?: TestService
  readonly kubernetes?: TestService | Unread
  readonly dns?: TestService | Unread
  readonly outside: readonly Outside[]
  /** Nodes whose network is another one's, which Causeway only observes: that one's policies are not known. */
  readonly observed: readonly string[]
}

export type Protocol = 'icmp' | 'tcp' | 'udp'

/** One packet that is to be sent. */
export type Probe = {
  readonly from: PacketEnd
  /** `node` is '' where nobody knows which node it comes to. */
  readonly to: PacketEnd
  /** What a trace calls the other end, where that is not `to.name`. */
  readonly target?: string
  readonly family: Family
  readonly protocol: Protocol
  readonly port?: number
  /** One of the largest size that the sender's kernel sends, which is not to be fragmented, is sent as well. */
  readonly isOfFullSize?: true
  readonly expects: 'arrival' | 'denial'
  /** Nodes that may have it besides those of the two ends, since its destination is translated. */
  readonly via?: readonly string[]
  /** Nodes that may have it too, and are asked only when it is sent again: mostly it is answered, and they would have much to watch. */
  readonly viaWhenLost?: readonly string[]
  /** That it is not answered says nothing. */
  readonly isGuess?: true
}

/** What became of a probe. */
export type ProbeResult = {
  readonly probe: Probe
  readonly state: 'passed' | 'failed' | 'unknown'
  readonly outcome: Outcome
  /** Why it did not pass; of one that passed, what became of it. */
  readonly text: string
  readonly code?: string
  readonly remedy?: string
  /** How often it was sent. */
  readonly tries: number
  /** It did not arrive, as it should not, but not because somebody denied it. */
  readonly isByChance?: true
  /** A process has it, and does not answer what it does not understand: of the way back nothing is shown. */
  readonly isOneWay?: true
  /** What became of it when it was sent first, where it was sent again. */
  readonly firstText?: string
}

/** What is wrong that is not a packet: an agent that does not answer, a pod that does not start, a finding of doctor. */
export type Fault = {
  readonly subject: string
  /** At which it is; absent: doctor has found it, and knows its cause. */
  readonly node?: string
  readonly text: string
  readonly code?: string
  readonly remedy?: string
  readonly consequences?: readonly string[]
}

export type ScenarioName =
  | 'agents'
  | 'pods-start'
  | 'pod-to-pod'
  | 'same-node'
  | 'mtu'
  | 'pod-to-host'
  | 'host-to-pod'
  | 'host-to-host'
  | 'service'
  | 'hairpin'
  | 'node-port'
  | 'kubernetes'
  | 'dns'
  | 'outside'
  | 'policy-allow'
  | 'policy-deny'
  | 'doctor'

/** What became of a scenario. */
export type ScenarioResult = {
  readonly name: ScenarioName
  readonly state: 'passed' | 'failed' | 'skipped'
  /** In a few words: how many of what, or why it was skipped. */
  readonly text: string
  readonly probes: readonly ProbeResult[]
  readonly faults: readonly Fault[]
  readonly ms: number
}

/** What becomes of a scenario before it is run: packets, or why it cannot say anything. */
export type Plan = { readonly probes: readonly Probe[] } | { readonly skip: string }
