// What a pod asks for: addresses and a MAC of its own. Several places can say so; docs/ipam.md has which one counts.
import { Addr, type Prefix } from '#/lib/addr.ts'
import { deviceMacStart, isDeviceMac } from '#/model/names.ts'
import { requestFault } from '#/plan/allocate.ts'
import { type AddRequest } from '#/wire/cni/index.ts'

/** Pod annotations, as runtimes pass them on by the capability io.kubernetes.cri.pod-annotations. */
export const annotations = { ips: 'causeway.dev/ips', mac: 'causeway.dev/mac' } as const

export type PodRequest =
  | { readonly kind: 'request'; readonly addrs: readonly Addr[]; readonly mac?: string }
  /** It cannot be had; `message` says what and why. */
  | { readonly kind: 'fault'; readonly message: string }

type Wish = { readonly addr: Addr; readonly prefixLength?: number }

/** "10.244.1.9, fd10::9": the addresses, or the part that is none. */
function parseAddrs(text: string): Addr[] | { readonly wrong: string } {
  const addrs: Addr[] = []
  for (const part of text.split(',')) {
    const addr = Addr.tryParse(part.trim())
    if (addr === undefined) return { wrong: part.trim() }
    addrs.push(addr)
  }
  return addrs
}

/** Lower case with colons; undefined for what no single interface can have: groups, and all zeros. */
function unicastMac(text: string): string | undefined {
  const mac = text.trim().toLowerCase().replaceAll('-', ':')
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) || mac === '00:00:00:00:00:00') return undefined
  // IEEE 802 section 8.2.2: the lowest bit of the first byte says group
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 ? mac : undefined
}

function addrFault({ addr, prefixLength }: Wish, index: number, all: readonly Wish[], cidrs: readonly Prefix[]) {
  const fault = requestFault(addr, cidrs)
  if (fault !== undefined) return `the requested address ${addr} ${fault}`
  const other = all.slice(0, index).find((each) => each.addr.family === addr.family)
  if (other)
    return `two IPv${addr.family} addresses are requested, ${other.addr} and ${addr}: a pod has one of each family`
  const cidr = cidrs.find((each) => each.contains(addr))
  if (prefixLength === undefined || prefixLength === addr.bits || prefixLength === cidr?.length) return undefined
  return `the requested address ${addr}/${prefixLength} is in pod CIDR ${cidr}, which has another prefix length`
}

/**
 * Runtime's `ips` and `mac`, then network configuration and CNI_ARGS (the wire knows their order), then the annotations:
 * the first three speak of this interface, an annotation of the pod as a whole.
 */
export function readPodRequest(request: AddRequest, cidrs: readonly Prefix[]): PodRequest {
  const { runtimeConfig, requestedIps } = request
  const fault = (message: string): PodRequest => ({ kind: 'fault', message })
  let wishes: readonly Wish[] = requestedIps.map(({ address, ...rest }) => ({ addr: address, ...rest }))
  const ipsText = runtimeConfig.podAnnotations.get(annotations.ips)
  if (wishes.length === 0 && ipsText !== undefined) {
    const addrs = parseAddrs(ipsText)
    if (!Array.isArray(addrs))
      return fault(`annotation ${annotations.ips}="${ipsText}": "${addrs.wrong}" is no IP address`)
    wishes = addrs.map((addr) => ({ addr }))
  }
  for (const [index, wish] of wishes.entries()) {
    const message = addrFault(wish, index, wishes, cidrs)
    if (message !== undefined) return fault(message)
  }
  const macText = runtimeConfig.mac ?? runtimeConfig.podAnnotations.get(annotations.mac)
  const mac = macText === undefined ? undefined : unicastMac(macText)
  if (macText !== undefined && mac === undefined)
    return fault(`the requested MAC "${macText}" is no unicast address such as 0a:58:0a:f4:01:09`)
  // a pod with the MAC of the bridge, or of another pod's host end, would draw frames that are for the node
  if (mac !== undefined && isDeviceMac(mac))
    return fault(
      `the requested MAC ${mac} may be that of one of the node's devices, whose MACs begin with ${deviceMacStart}: request another one`,
    )
  return { kind: 'request', addrs: wishes.map(({ addr }) => addr), ...(mac !== undefined && { mac }) }
}
