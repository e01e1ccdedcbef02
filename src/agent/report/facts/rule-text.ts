// A rule of policy routing in the words of ip-rule(8).
import { type PortRange, type Rule } from '#/wire/netlink/rule.ts'

const tableNames: Readonly<Record<number, string>> = { 253: 'default', 254: 'main', 255: 'local' }
/** As iproute2 writes them; it has `ipproto-NUMBER` for those without a name. */
const protocolNames: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp', 132: 'sctp' }

const hex = (value: number): string => `0x${value.toString(16)}`
const rangeText = ({ first, last }: PortRange): string => (first === last ? String(first) : `${first}-${last}`)

export function ruleText(rule: Rule): string {
  const { priority, isInverted, src, dst, iif, oif, mark, mask, ipProtocol, sourcePorts, destinationPorts } = rule
  const words = [
    isInverted && 'not',
    `from ${src ?? 'all'}`,
    dst && `to ${dst}`,
    mask !== undefined && `fwmark ${hex(mark ?? 0)}${mask === 0xffff_ffff ? '' : `/${hex(mask)}`}`,
    iif !== undefined && `iif ${iif}`,
    oif !== undefined && `oif ${oif}`,
    ipProtocol !== undefined && `ipproto ${protocolNames[ipProtocol] ?? `ipproto-${ipProtocol}`}`,
    sourcePorts && `sport ${rangeText(sourcePorts)}`,
    destinationPorts && `dport ${rangeText(destinationPorts)}`,
    actionText(rule),
    rule.suppressLength !== undefined && `suppress_prefixlength ${rule.suppressLength}`,
  ]
  return `${priority}: ${words.filter(Boolean).join(' ')}`
}

function actionText({ table, dead, goto }: Rule): string {
  if (table !== undefined) return `lookup ${tableNames[table] ?? table}`
  return dead ?? (goto === undefined ? 'nop' : `goto ${goto}`)
}

/** What the rule does, in the words of the API. */
export function actionOf({
  table,
  dead,
  goto,
}: Rule): 'lookup' | 'blackhole' | 'prohibit' | 'unreachable' | 'goto' | 'other' {
  if (table !== undefined) return 'lookup'
  return dead ?? (goto === undefined ? 'other' : 'goto')
}
