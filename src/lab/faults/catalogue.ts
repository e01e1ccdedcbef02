// All faults that `causeway lab break` knows, in the order in which they are listed: from the network between the nodes to the cluster's objects.
import { addressFaults } from './addresses.ts'
import { agentFaults } from './agents.ts'
import { checksumFaults } from './checksums.ts'
import { type Fault } from './fault.ts'
import { firewallFaults } from './firewalls.ts'
import { flannelFaults } from './flannel.ts'
import { leftoverFaults } from './leftovers.ts'
import { nodeFaults } from './nodes.ts'
import { podFaults } from './pods.ts'
import { routeFaults } from './routes.ts'
import { sysctlFaults } from './sysctls.ts'
import { underlayFaults } from './underlay.ts'

/** Those that need no agent, and nothing of Causeway's. */
const ofAnyNetwork = new Set([
  'overlay-port-blocked',
  'overlay-port-blocked-one-way',
  'underlay-mtu-silent',
  'packet-loss',
  'neighbour-wrong-mac',
  'forward-drop-nft',
  'forward-drop-legacy',
  'input-drops-tunnel',
])

/** Of Causeway's network: a lab whose nodes have another one cannot have it. */
function ofCauseway(fault: Fault): Fault {
  if (ofAnyNetwork.has(fault.name)) return fault
  const { needs } = fault
  return {
    ...fault,
    needs: (spec) =>
      spec.network === undefined
        ? needs?.(spec)
        : 'it is of nodes with an agent, and those of this lab have flannel; causeway lab up without --network',
  }
}

const causewayFaults: readonly Fault[] = [
  ...underlayFaults,
  ...checksumFaults,
  ...firewallFaults,
  ...routeFaults,
  ...sysctlFaults,
  ...leftoverFaults,
  ...podFaults,
  ...addressFaults,
  ...nodeFaults,
  ...agentFaults,
]

export const faults: readonly Fault[] = [...causewayFaults.map(ofCauseway), ...flannelFaults]
