// What the kernel answers when it is asked for the way of a packet, as a step. Pure.
import { type EqualWays } from './types.ts'
import { type At, type Mend, passes, type PredictedStep, stops } from './predict-steps.ts'

export type RouteFacts = {
  readonly at: At
  readonly family: 4 | 6
  /** The command that asks the same. */
  readonly command: string
  readonly answer:
    | {
        readonly kind: 'way'
        /** The route as ip-route(8) prints it; absent for types of route that are not known here. */
        readonly route?: string
        /** The rule that led to its table, where that is not one that every node has. */
        readonly rule?: string
        readonly isOurs: boolean
        /** Where the route has several. */
        readonly ways?: EqualWays
      }
    /** `words` are the kernel's own. */
    | { readonly kind: 'refused'; readonly code: string; readonly words: string }
  /** What of others leads the packet elsewhere than planned. */
  readonly obstacle?: { readonly code: string; readonly what: string; readonly remedy: string }
  /** Of the device by which the packet comes; absent for a packet of this very namespace. */
  readonly incoming?: {
    readonly device: string
    /** net.ipv4.conf.DEVICE.forwarding, or net.ipv6.conf.all.forwarding; absent: not read. */
    readonly forwarding?: string
    /** net.ipv4.ip_forward is 0, which sets those of all devices. */
    readonly isNodeStopped?: true
    /** What is in force: the greater of net.ipv4.conf.all.rp_filter and the device's. */
    readonly rpFilter?: number
    /** The device by which packets to the sender leave; absent: none, or not asked. */
    readonly wayBack?: string
    /** net.ipv6.conf.DEVICE.disable_ipv6 is 1. */
    readonly isIpv6Off?: true
    /** Whether the agent sets the device's sysctls itself. */
    readonly isOurs: boolean
  }
}

const STRICT = 1

export function routeStep({ at, family, command, answer, obstacle, incoming }: RouteFacts): PredictedStep {
  // the lookup does not ask for that
  if (incoming?.isIpv6Off) return ipv6Stop(at, incoming)
  if (answer.kind === 'refused') {
    const reason = refusalBySysctl(family, answer.code, incoming)
    if (reason) return stops('route', reason.text, at, reason)
    if (obstacle) return stops('route', `the kernel drops it (${answer.code}): ${obstacle.what}`, at, mendOf(obstacle))
    return stops('route', `the kernel has no way (${answer.code}): ${words[answer.code] ?? answer.words}`, at, {
      remedy: `ask the kernel yourself: ${command}`,
    })
  }
  const { route = 'a route of a type that is not known here', rule, isOurs, ways } = answer
  const chosen = ways && `of which this packet takes ${ways.hops.filter((hop) => hop.isChosen).map(hopText)[0]}`
  const text = [`route ${route}`, chosen, isOurs && "Causeway's", rule && `by rule ${rule}`].filter(Boolean).join(', ')
  if (obstacle) return stops('route', `${obstacle.what} leads it elsewhere than planned`, at, mendOf(obstacle))
  // the lookup of IPv6 does not ask whether the node forwards
  if (family === 6 && incoming?.forwarding === '0' && at.next !== undefined)
    return stops(
      'route',
      `${forwardingName(6, incoming)} is 0: the kernel forwards nothing`,
      at,
      forwardingMend(6, incoming),
    )
  return { ...passes('route', text, at), ...(ways && { ways }) }
}

/** "eth0 via 10.0.0.1" */
export function hopText({ device, gateway }: EqualWays['hops'][number]): string {
  return gateway === undefined ? device : `${device} via ${gateway}`
}

const mendOf = ({ code, remedy }: { readonly code: string; readonly remedy: string }): Mend => ({ code, remedy })

/** What the kernel means by an errno that it answers a lookup with (net/ipv4/route.c, net/ipv6/route.c). */
const words: Readonly<Record<string, string>> = {
  ENETUNREACH: 'no route matches',
  EHOSTUNREACH: 'a route or rule of type unreachable matches, or the device does not forward',
  EACCES: 'a route or rule of type prohibit matches',
  EINVAL: 'a route or rule of type blackhole matches, or an address cannot be that of a packet here',
}

function refusalBySysctl(
  family: 4 | 6,
  code: string,
  incoming: RouteFacts['incoming'],
): (Mend & { readonly text: string }) | undefined {
  if (incoming === undefined) return undefined
  const { device, forwarding, isNodeStopped } = incoming
  if (family === 4 && isFiltered(code, incoming)) return rpFilterStop(incoming)
  if (code === 'EHOSTUNREACH' && forwarding === '0') {
    const text = `${forwardingName(family, incoming)} is 0: the kernel forwards nothing`
    return { text: isNodeStopped ? text : `${text} from ${device}`, ...forwardingMend(family, incoming) }
  }
  return undefined
}

function ipv6Stop(at: At, { device, isOurs }: Pick<Incoming, 'device' | 'isOurs'>): PredictedStep {
  const name = `net.ipv6.conf.${device}.disable_ipv6`
  return stops('route', `${name} is 1: the kernel drops what comes by ${device}`, at, {
    ...(isOurs && { code: 'CW2002' }),
    remedy: `sysctl -w ${name}=0; and see which program sets it to 1`,
  })
}

type Incoming = NonNullable<RouteFacts['incoming']>

/** Kernels since 6.13 answer EINVAL, as for much else, and those of before EXDEV. */
export function isFiltered(
  code: string,
  { device, rpFilter, wayBack }: Pick<Incoming, 'device' | 'rpFilter' | 'wayBack'>,
): boolean {
  return rpFilter === STRICT && (code === 'EXDEV' || (code === 'EINVAL' && wayBack !== device))
}

/** What is told of a packet that rp_filter drops. */
export function rpFilterStop({
  device,
  wayBack,
}: Pick<Incoming, 'device' | 'wayBack'>): Mend & { readonly text: string } {
  const back =
    wayBack === undefined ? 'no way leads back to the sender' : `the way back to the sender leads over ${wayBack}`
  return {
    text: `rp_filter of ${device} is strict (1), and ${back}`,
    code: 'CW1203',
    remedy: `let the filter be loose: sysctl -w net.ipv4.conf.${device}.rp_filter=2; and where sysctls are configured, or the next boot is without it`,
  }
}

function forwardingName(family: 4 | 6, { device, isNodeStopped }: Incoming): string {
  if (family === 6) return 'net.ipv6.conf.all.forwarding'
  return isNodeStopped ? 'net.ipv4.ip_forward' : `net.ipv4.conf.${device}.forwarding`
}

function forwardingMend(family: 4 | 6, incoming: Incoming): Mend {
  return {
    code: incoming.isOurs ? 'CW2002' : 'CW1305',
    remedy: `sysctl -w ${forwardingName(family, incoming)}=1; and see which program sets it to 0`,
  }
}
