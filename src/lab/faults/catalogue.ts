// All faults that `causeway lab break` knows, in the order in which they are listed: from the network between the nodes to the cluster's objects.
import { addressFaults } from './addresses.ts'
import { agentFaults } from './agents.ts'
import { checksumFaults } from './checksums.ts'
import { type Fault } from './fault.ts'
import { firewallFaults } from './firewalls.ts'
import { leftoverFaults } from './leftovers.ts'
import { nodeFaults } from './nodes.ts'
import { podFaults } from './pods.ts'
import { routeFaults } from './routes.ts'
import { sysctlFaults } from './sysctls.ts'
import { underlayFaults } from './underlay.ts'

export const faults: readonly Fault[] = [
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
