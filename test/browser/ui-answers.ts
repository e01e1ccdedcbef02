// What the command would answer about made-up nodes: one of them, a pair, pods, policies.
import {
  type Crossing,
  type CrossingSide,
  type NodeDetail,
  type PoliciesReport,
  type PodsFound,
} from '#/ui/contract.ts'
import { type Answers } from './ui-fixture.ts'
import { atMs } from './ui-rows.ts'

const sinceMs = atMs - 3_600_000

const cidrOf = (name: string): string => `10.244.${Number(/\d+$/.exec(name)?.[0] ?? 1) - 1}.0/24`
const addrOf = (name: string): string => `172.30.1.${10 + Number(/\d+$/.exec(name)?.[0] ?? 1)}`

function verdict(from: string, other: string): CrossingSide['verdicts'][number] {
  return {
    podCIDR: cidrOf(other),
    node: other,
    way: 'vxlan',
    reason: 'routing is auto and the nodes are of different subnets, so it goes through the tunnel',
    mtuBytes: 1450,
    tunnel: { src: addrOf(from), dst: addrOf(other), gateway: cidrOf(other).replace('0/24', '1') },
  }
}

function side(from: string, other: string, isBroken: boolean): CrossingSide {
  const way = (path: 'node' | 'pod'): CrossingSide['probes'][number] => ({
    node: other,
    path,
    family: 4,
    dst: path === 'pod' ? cidrOf(other).replace('0/24', '1') : addrOf(other),
    way: path === 'pod' ? 'vxlan' : 'direct',
    state: isBroken && path === 'pod' ? 'broken' : 'ok',
    sinceMs: isBroken && path === 'pod' ? Date.now() - 19_000 : sinceMs,
    windowMs: 60_000,
    small: { sizeBytes: 64, sent: 60, answered: isBroken && path === 'pod' ? 41 : 60 },
    full: { sizeBytes: path === 'pod' ? 1450 : 1500, sent: 20, answered: isBroken && path === 'pod' ? 13 : 20 },
    ...(!(isBroken && path === 'pod') && { rttMs: { least: 0.21, median: 0.34, most: 1.2 } }),
  })
  return {
    node: from,
    verdicts: [verdict(from, other)],
    datapath: from === 'node-2' ? 'ebpf' : 'bridge',
    probes: [way('node'), way('pod')],
  }
}

export function crossingOf(from: string, other: string, isBroken = false): Crossing {
  return {
    from,
    to: other,
    there: side(from, other, isBroken),
    back: side(other, from, isBroken),
  }
}

export function detailOf(name: string, others: readonly string[], isBroken = false): NodeDetail {
  const pods = Array.from({ length: 12 }, (_, index) => ({
    pod: `default/web-${index + 1}`,
    containerId: `c${index}`,
    ifName: 'eth0',
    hostDevice: `cwv3790ba8e9d${index}b`,
    addrs: [cidrOf(name).replace('0/24', String(index + 2))],
    state: 'ready' as const,
    datapath: 'bridge',
  }))
  const done = (kind: string, key: string) => ({ kind, key, state: 'done' as const, sinceMs, attempts: 0 })
  return {
    node: name,
    silences: [],
    status: {
      node: name,
      pid: 4711,
      podCIDRs: [cidrOf(name)],
      readiness: { state: 'ready', reasons: [] },
      api: { phase: 'watching', restarts: 0, inSync: true, nodes: others.length + 1 },
      objects: [
        done('link', 'cw-br0'),
        done('link', 'cw-vxlan'),
        ...others.map((other) => done('route', `${cidrOf(other)} dev cw-vxlan`)),
        ...others.map((other) => done('neighbour', `${cidrOf(other)} on cw-vxlan`)),
        done('nftables', 'table inet causeway'),
        ...(isBroken
          ? [
              {
                kind: 'forwarding',
                key: 'net.ipv4.conf.all.forwarding',
                state: 'error' as const,
                message: 'Read-only file system (EROFS)',
                remedy:
                  'mount /proc/sys writable in the agent, or set it on the node: sysctl -w net.ipv4.conf.all.forwarding=1',
                sinceMs: Date.now() - 95_000,
                attempts: 7,
              },
            ]
          : []),
      ],
      verdicts: others.map((other) => verdict(name, other)),
      endpoints: pods,
      problems: [],
    },
    ipam: {
      cidrs: [{ cidr: cidrOf(name), total: '253', used: '12', coolingDown: '2', free: '239' }],
      addresses: [{ addr: cidrOf(name).replace('0/24', '99'), state: 'cooling down', pod: 'default/old-1' }],
      leaksReleased: 0,
    },
    bgp: {
      isReady: !isBroken,
      asn: 64_512,
      peers: [
        {
          name: 'tor-a',
          addr: '172.30.1.1',
          localAsn: 64_512,
          remoteAsn: 64_601,
          state: 'Established',
          sinceMs,
          families: [4, 6],
          received: 44,
          accepted: 40,
          advertised: 1,
          flaps: 0,
          bfd: 'Up',
        },
        {
          name: 'tor-b',
          addr: '172.30.1.2',
          localAsn: 64_512,
          remoteAsn: 64_601,
          state: isBroken ? 'Active' : 'Established',
          sinceMs: isBroken ? Date.now() - 40_000 : sinceMs,
          families: [4, 6],
          received: isBroken ? 0 : 44,
          accepted: 0,
          advertised: 1,
          flaps: 2,
          ...(isBroken && { lastError: 'hold timer expired: nothing was heard for 9 s' }),
        },
      ],
    },
  }
}

export const policies: PoliciesReport = {
  policies: [
    {
      policy: 'networkpolicy/default/web-from-front',
      tier: 'NetworkPolicy',
      subject: 'pods of default with app=web',
      pods: 12,
      podsHere: 12,
      rules: [
        {
          direction: 'ingress',
          index: 0,
          action: 'accept',
          text: 'from pods with app=front, TCP 8080',
          connections: 1204,
        },
      ],
      faults: [],
    },
    {
      policy: 'networkpolicy/shop/db',
      tier: 'NetworkPolicy',
      subject: 'pods of shop with app=db',
      pods: 3,
      podsHere: 1,
      rules: [],
      faults: [
        {
          field: 'spec.ingress[0].from[0].ipBlock.cidr',
          why: '"10.0.0.0/33" is no CIDR: nobody is let in by this rule',
        },
      ],
    },
  ],
  failing: [],
  silences: [],
  asked: 3,
  notAsked: 0,
}

const pods: PodsFound = {
  pods: ['default/a', 'default/b', 'default/web-1', 'shop/db-0'].map((pod, index) => ({
    pod,
    node: `node-${index + 1}`,
    addrs: [`10.244.${index}.2`],
  })),
  more: 0,
}

export function answersOf(isBroken: () => boolean, others: readonly string[] = ['node-2', 'node-3']): Answers {
  return (path, query) => {
    const [what, name] = path.split('/').map(decodeURIComponent)
    if (what === 'node')
      return detailOf(
        name!,
        others.filter((each) => each !== name),
        isBroken(),
      )
    if (what === 'crossing') return crossingOf(query.get('from')!, query.get('to')!, isBroken())
    if (what === 'policies') return policies
    if (what === 'pods') return { ...pods, pods: pods.pods.filter(({ pod }) => pod.includes(query.get('q') ?? '')) }
    return undefined
  }
}
