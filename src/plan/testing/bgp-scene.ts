// Clusters for tests of BGP's plan.
import assert from 'node:assert/strict'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { bgpConfigurationFrom, type BgpConfiguration, bgpPeerOf, type BgpPeer } from '#/model/bgp-objects.ts'
import { type BgpMember } from '../bgp-member.ts'
import { ClaimIndex } from '../claims.ts'
import { planSpeaker, type SpeakerInput, type SpeakerPlan } from '../bgp.ts'

/** The dual-stack node with number n. */
export function member(n: number, labels: Record<string, string> = {}): BgpMember {
  return {
    name: `node-${n}`,
    podCIDRs: [Prefix.parse(`10.244.${n % 256}.0/24`), Prefix.parse(`fd10:244:0:${n.toString(16)}::/64`)],
    addrs: [Addr.parse(`172.30.${n >> 8}.${n % 256}`), Addr.parse(`fd00:172::${n.toString(16)}`)],
    labels,
    isReady: true,
  }
}

export function members(count: number, labelsOf: (n: number) => Record<string, string> = () => ({})): BgpMember[] {
  return Array.from({ length: count }, (_, index) => member(index + 1, labelsOf(index + 1)))
}

export function configurationOf(spec: object = {}): BgpConfiguration {
  const object = { metadata: { name: 'default' }, spec }
  return bgpConfigurationFrom([object], 'causeway-system').configuration!
}

export function peer(name: string, spec: object): BgpPeer {
  const object = { metadata: { name }, spec }
  return bgpPeerOf(object, 'causeway-system').peer!
}

/** As the plan of the network settles it where every claim is admitted. */
function settled(nodes: readonly BgpMember[]): SpeakerInput['podCIDRsOf'] {
  const claims = new ClaimIndex<BgpMember>()
  claims.update(nodes.map((node) => [node.name, node]))
  return (name) => claims.settled(name)?.node.podCIDRs ?? []
}

/** The plan of one node of a cluster whose configuration is all defaults except for `given`. */
export function planFor(self: BgpMember, nodes: readonly BgpMember[], given: Partial<SpeakerInput> = {}): SpeakerPlan {
  return planSpeaker({
    self,
    nodes,
    configuration: configurationOf(),
    peers: [],
    bgpNode: undefined,
    secrets: new Map(),
    podCIDRsOf: settled([...nodes, self]),
    clusterCIDRs: [Prefix.parse('10.244.0.0/16'), Prefix.parse('fd10:244::/48')],
    isRestarting: false,
    families: [4, 6],
    ...given,
  })
}

export function configOf(plan: SpeakerPlan): SpeakerConfig {
  assert.ok(plan.config, 'there is a configuration')
  return plan.config
}

export const names = (plan: SpeakerPlan): string[] => configOf(plan).peers.map(({ name }) => name)
export const messages = (plan: SpeakerPlan): string[] =>
  plan.problems.map(({ object, message }) => `${object}: ${message}`)

export function peerIn(plan: SpeakerPlan, name: string): PeerConfig {
  const found = configOf(plan).peers.find((each) => each.name === name)
  assert.ok(found, `${name} is among ${names(plan).join()}`)
  return found
}

/** A value as JSON has it: addresses and prefixes become text. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
/** The default import policy of these clusters, as JSON has it. */
export const clusterOnly = {
  rules: [
    {
      name: 'cluster-cidrs',
      match: {
        prefixes: [
          { prefix: '10.244.0.0/16', minLength: 16, maxLength: 32 },
          { prefix: 'fd10:244::/48', minLength: 48, maxLength: 128 },
        ],
      },
      action: 'accept',
    },
  ],
  otherwise: 'reject',
}
/** The import policy of a session with node n, which is no reflector, as JSON has it. */
export const onlyOf = (n: number): unknown => ({
  rules: [
    {
      name: 'pod-cidrs-of-node',
      match: { prefixes: member(n).podCIDRs.map((prefix) => ({ prefix: String(prefix) })) },
      action: 'accept',
    },
  ],
  otherwise: 'reject',
  otherwiseBecause: `it is no pod CIDR that the Node object of node-${n} owns, and node-${n} is no route reflector of this node`,
})
/** The default export policy of node 1 towards another AS. */
export const ownOnly = {
  rules: [
    {
      name: 'own-pod-cidrs',
      match: { prefixes: [{ prefix: '10.244.1.0/24' }, { prefix: 'fd10:244:0:1::/64' }] },
      action: 'accept',
    },
  ],
  otherwise: 'reject',
}
