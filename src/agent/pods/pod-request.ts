// The addresses and the MAC that a pod requests. A request can stand in several places; docs/ipam.md says which one counts.
import { Addr, type Prefix } from '#/lib/addr.ts'
import { deviceMacStart, isDeviceMac } from '#/model/names.ts'
import { requestFault } from '#/plan/allocate.ts'
import { type AddRequest } from '#/wire/cni/index.ts'

/** Annotations of the pod; runtimes pass them on through the capability io.kubernetes.cri.pod-annotations. */
export const annotations = { ips: 'causeway.dev/ips', mac: 'causeway.dev/mac' } as const

export type PodRequest =
  | { readonly kind: 'request'; readonly addrs: readonly Addr[]; readonly mac?: string }
  /** The request cannot be granted; `message` says what is wrong with it. */
  | { readonly kind: 'fault'; readonly message: string }

type Wish = { readonly addr: Addr; readonly prefixLength?: number }

/** Reads a list such as "10.244.1.9, fd10::9"; `wrong` is the first part that is not an address. */
function parseAddrs(text: string): Addr[] | { readonly wrong: string } {
  const addrs: Addr[] = []
  for (const part of text.split(',')) {
    const addr = Addr.tryParse(part.trim())
    if (addr === undefined) return { wrong: part.trim() }
    addrs.push(addr)
  }
  return addrs
}

/** The MAC in lower case with colons; undefined when it is malformed, a group address or all zeros. */
function unicastMac(text: string): string | undefined {
  const mac = text.trim().toLowerCase().replaceAll('-', ':')
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) || mac === '00:00:00:00:00:00') return undefined
  // IEEE 802 section 8.2.2: the lowest bit of the first byte marks a group address
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
 * The runtime's `ips` and `mac` count first, then network configuration and CNI_ARGS (wire/cni puts these in order), then the
 * annotations: an annotation is about the pod as a whole, the others are about this interface.
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
  // a pod with the MAC of the bridge, or of a pod's host end, would receive frames that are meant for the node
  if (mac !== undefined && isDeviceMac(mac))
    return fault(
      `the requested MAC ${mac} may be that of one of the node's devices, whose MACs begin with ${deviceMacStart}: request another one`,
    )
  return { kind: 'request', addrs: wishes.map(({ addr }) => addr), ...(mac !== undefined && { mac }) }
}
