// What flannel has on a node for the node itself: its VXLAN devices, and the bridge of pods. Pure.
import { type Link } from '#/kernel/links.ts'
import { type Addr, families, type Family } from '#/lib/addr.ts'
import { flannelDevice, type FlannelNode } from '#/model/flannel.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type FlannelState } from './kernel-state.ts'

/** The bridge of the plugin that flannel's hands pods to. */
export const podBridge = 'cni0'

/** What the tunnel adds to a packet: an Ethernet header, VXLAN, UDP and IP. */
const overheadBytes = { 4: 50, 6: 70 } as const

function faultOf(device: Link, self: FlannelNode, family: Family, state: FlannelState): string | undefined {
  const { name, isUp, kind, vxlan, mac, mtuBytes } = device
  const wantedMac = self.vtepMacs[family]
  const local = self.publicAddrs[family]
  if (kind !== 'vxlan') return `device ${name} is of kind "${kind}", and no VXLAN device`
  if (!isUp) return `${name} is down`
  if (vxlan?.id !== self.vni) return `${name} has the VNI ${vxlan?.id}, and flannel has told ${self.vni}`
  if (wantedMac !== undefined && mac !== wantedMac)
    return `${name} has the MAC ${mac}, and the annotation of this node tells ${wantedMac}: other nodes send frames that it does not take`
  if (local && vxlan.local && !vxlan.local.equals(local))
    return `${name} sends from ${vxlan.local}, and the annotation of this node tells ${local}`
  const underlay = local && deviceWith(state, local)
  if (local && underlay === undefined) return `no device of this node has ${local}, from which ${name} sends`
  if (underlay && mtuBytes + overheadBytes[family] > underlay.mtuBytes && family === 4)
    return `${name} has the MTU ${mtuBytes}, which with ${overheadBytes[family]} bytes of outer headers is more than ${underlay.mtuBytes}, that of ${underlay.name}: large packets are sent in fragments, or lost`
  return undefined
}

function deviceWith({ addresses, links }: FlannelState, addr: Addr): Link | undefined {
  const index = addresses.find((each) => each.addr.equals(addr))?.index
  return links.find((link) => link.index === index)
}

function deviceProblems(self: FlannelNode, state: FlannelState): Problem[] {
  if (self.backend !== 'vxlan') return []
  return families
    .filter((family) => self.vtepMacs[family] !== undefined)
    .flatMap((family) => {
      const name = flannelDevice(family, self.vni)
      const device = state.links.find((link) => link.name === name)
      const fault = device === undefined ? `there is no device ${name}` : faultOf(device, self, family, state)
      return fault === undefined ? [] : [problem('CW6504', `device/${name}`, fault)]
    })
}

function bridgeProblems({ podCIDRs }: FlannelNode, { links, addresses }: FlannelState): Problem[] {
  const tell = (what: string): Problem[] => [problem('CW6505', `device/${podBridge}`, what)]
  const bridge = links.find(({ name }) => name === podBridge)
  if (bridge?.kind !== 'bridge')
    return tell(bridge === undefined ? `there is no bridge ${podBridge}` : `${podBridge} is no bridge`)
  if (!bridge.isUp) return tell(`${podBridge} is down`)
  const lacking = podCIDRs
    .map((cidr) => cidr.at(1))
    .filter((addr) => !addresses.some((each) => each.index === bridge.index && each.addr.equals(addr)))
  return lacking.length === 0
    ? []
    : tell(`${podBridge} does not have ${lacking.join(', ')}, the gateway of this node's pods`)
}

/** `hasPods`: pods of this node have a network; the plugin makes the bridge with the first. */
export function ownProblems(self: FlannelNode, state: FlannelState, hasPods: boolean): Problem[] {
  const object = `node/${self.name}`
  if (self.backend === undefined)
    return [problem('CW6507', object, 'flannel has written no backend-type on the Node object of this node')]
  return [...deviceProblems(self, state), ...(hasPods ? bridgeProblems(self, state) : [])]
}
