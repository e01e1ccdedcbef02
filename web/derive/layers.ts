// Through which devices a packet goes from a pod of one node to a pod of another, as the sender's verdict says, and what it carries at each. Pure.
import { bridgeName, vxlanName } from '#/model/names.ts'
import { type CrossingSide } from '#/ui/contract.ts'

type Verdict = CrossingSide['verdicts'][number]

/** A header that the packet has there, in the words and colours of a trace. */
export type Header = {
  readonly kind: 'link' | 'network' | 'transport' | 'tunnel' | 'payload'
  readonly name: string
  readonly isOuter?: true
}

export type Layer = {
  /** The device, as ip link shows it; undefined where it has another name in every node. */
  readonly device?: string
  readonly what: string
  readonly headers: readonly Header[]
}

const family = (podCIDR: string): string => (podCIDR.includes(':') ? 'IPv6' : 'IPv4')

function headersOf({ podCIDR, way, tunnel }: Verdict, isInTunnel: boolean): Header[] {
  const inner: Header[] = [
    { kind: 'link', name: 'Ethernet' },
    { kind: 'network', name: family(podCIDR) },
    { kind: 'payload', name: 'data' },
  ]
  if (way !== 'vxlan' || !isInTunnel) return inner
  const outer: Header[] = [
    { kind: 'link', name: 'Ethernet' },
    { kind: 'network', name: family(tunnel?.dst ?? '') },
    { kind: 'transport', name: 'UDP' },
    { kind: 'tunnel', name: 'VXLAN' },
  ]
  return [...outer.map((each) => ({ ...each, isOuter: true as const })), ...inner]
}

const nodeSide = (datapath: string | undefined, isSender: boolean): Omit<Layer, 'headers'> =>
  datapath === 'ebpf'
    ? {
        what: isSender
          ? "eBPF program at the pod's device: looks up the other node"
          : 'eBPF program: hands it to the pod',
      }
    : { device: bridgeName, what: isSender ? 'bridge of pods: the node routes it on' : 'bridge of pods' }

/** From the pod of the sender to the wire. */
export function sendingLayers(verdict: Verdict, datapath: string | undefined): Layer[] {
  const { way, tunnel, nextHops } = verdict
  const headers = headersOf(verdict, false)
  const devices = [...new Set((nextHops ?? []).map(({ device }) => device))].join(', ')
  return [
    { device: 'eth0', what: "in the pod's own namespace", headers },
    { ...nodeSide(datapath, true), headers },
    ...(way === 'vxlan'
      ? [
          {
            device: vxlanName,
            what: `tunnel to ${tunnel?.dst ?? 'the other node'}: the packet is put into another one`,
            headers,
          },
        ]
      : []),
    {
      ...(devices !== '' && { device: devices }),
      what:
        way === 'native'
          ? `network device, next hop ${(nextHops ?? []).map(({ gateway }) => gateway).join(' or ')}`
          : `network device with ${tunnel?.src ?? "the node's address"}`,
      headers: headersOf(verdict, true),
    },
  ]
}

/** From the wire to the pod of the receiver. */
export function receivingLayers(verdict: Verdict, datapath: string | undefined): Layer[] {
  const { way, tunnel } = verdict
  const headers = headersOf(verdict, false)
  return [
    {
      what: `network device${way === 'vxlan' && tunnel ? ` with ${tunnel.dst}` : ''}`,
      headers: headersOf(verdict, true),
    },
    ...(way === 'vxlan' ? [{ device: vxlanName, what: 'end of the tunnel: the packet is taken out', headers }] : []),
    { ...nodeSide(datapath, false), headers },
    { device: 'eth0', what: "in the pod's own namespace", headers },
  ]
}
