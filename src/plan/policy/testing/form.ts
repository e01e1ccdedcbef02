// Forms for tests, written down rather than made of a cluster.
import { Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import {
  type ClassForm,
  type Form,
  type FormChange,
  type FormRule,
  type LocalPodForm,
  type NamedPortMember,
  type NamedPortSet,
  type PeerSet,
  type PolicyForm,
  type PortRange,
} from '#/policy/form.ts'
import { type Direction, type PortProtocol, type RuleAction, type Tier } from '#/policy/policy.ts'

const nothing = { namespaces: { kind: 'labels', selector: {} }, pods: {} } as unknown as {
  namespaces: never
  pods: never
}

/** A form that tests fill in. Its parts are maps that can be changed. */
export class TestForm implements Form {
  readonly families = new Set<Family>(families)
  readonly locals = new Map<string, LocalPodForm>()
  readonly classes = new Map<string, ClassForm>()
  readonly policies = new Map<string, PolicyForm>()
  readonly peerSets = new Map<string, PeerSet>()
  readonly namedPortSets = new Map<string, NamedPortSet>()
  readonly members = new Map<string, Map<string, Addr>>()
  readonly namedPorts = new Map<string, NamedPortMember[]>()

  membersOf(id: string): ReadonlyMap<string, Addr> {
    return this.members.get(id) ?? new Map()
  }

  namedPortsOf(id: string): readonly NamedPortMember[] {
    return this.namedPorts.get(id) ?? []
  }

  pods(id: string, ...addrs: readonly string[]): this {
    this.peerSets.set(id, { kind: 'pods', id, match: nothing })
    this.members.set(id, new Map(addrs.map((addr) => [addr, Addr.parse(addr)])))
    return this
  }

  blocks(id: string, ...prefixes: readonly string[]): this {
    this.peerSets.set(id, { kind: 'blocks', id, prefixes: prefixes.map((prefix) => Prefix.parse(prefix)) })
    return this
  }

  ports(id: string, ...members: readonly (readonly [addr: string, protocol: PortProtocol, port: number])[]): this {
    this.namedPortSets.set(id, { id, name: id })
    this.namedPorts.set(
      id,
      members.map(([addr, protocol, port]) => ({ addr: Addr.parse(addr), protocol, port })),
    )
    return this
  }

  policy(id: string, tier: Tier, direction: Direction, ...rules: readonly Partial<RuleSpec>[]): this {
    const policy = tier === 'NetworkPolicy' ? `networkpolicy/x/${id}` : `clusternetworkpolicy/${id}`
    const made = rules.map(({ action = 'accept', peers = 'any', ports = 'any' }, index): FormRule => ({
      ref: { policy, direction, index },
      action,
      peers,
      ports: ports === 'any' ? 'any' : { ranges: [], names: [], ...ports },
    }))
    this.policies.set(id, { id, policy, tier, direction, rules: made })
    return this
  }

  class(id: string, direction: Direction, policies: readonly string[], isAudited = false): this {
    const ofTier = (tier: Tier): string[] => policies.filter((policy) => this.policies.get(policy)!.tier === tier)
    this.classes.set(id, {
      id,
      direction,
      policies: { Admin: ofTier('Admin'), NetworkPolicy: ofTier('NetworkPolicy'), Baseline: ofTier('Baseline') },
      isAudited,
    })
    return this
  }

  local(
    hostDevice: string,
    addrs: readonly string[],
    classes: { readonly ingress?: string; readonly egress?: string },
  ): this {
    this.locals.set(hostDevice, {
      pod: `x/${hostDevice}`,
      hostDevice,
      addrs: addrs.map((addr) => Addr.parse(addr)),
      ...classes,
    })
    return this
  }
}

export type RuleSpec = {
  readonly action: RuleAction
  readonly peers: readonly string[] | 'any'
  readonly ports: { readonly ranges?: readonly PortRange[]; readonly names?: readonly string[] } | 'any'
}

/** TCP ports, single ones or ranges. */
export function tcp(...ports: readonly (number | readonly [first: number, last: number])[]): {
  readonly ranges: PortRange[]
} {
  return {
    ranges: ports.map((port) => {
      const [first, last] = typeof port === 'number' ? [port, port] : port
      return { protocol: 'TCP', first, last }
    }),
  }
}

/** Nothing is different but what is given. */
export function changeOf(change: Partial<FormChange>): FormChange {
  return {
    newFamilies: new Set(),
    locals: new Map(),
    classes: new Map(),
    policies: new Map(),
    peerSets: new Map(),
    namedPortSets: new Map(),
    members: new Map(),
    namedPorts: new Map(),
    ...change,
  }
}
