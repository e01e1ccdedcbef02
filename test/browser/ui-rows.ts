// Rows of nodes for the page of `causeway ui`, made up: of any number, healthy or with what goes wrong.
import { type DoctorState, type LiveLine, type NodeRow, type ProbedPair, type Times } from '#/ui/contract.ts'

type Problem = NodeRow['problems'][number]

export const atMs = Date.UTC(2026, 10, 30, 2, 14)

const rackNodes = 40

/** Partners on rings, as agents choose them. */
function partnersOf(index: number, count: number): number[] {
  const steps = [1, 2, 5, 11].flatMap((step) => [step, count - step])
  return [...new Set(steps.map((step) => (index + step) % count))].filter((each) => each !== index && each >= 0)
}

export const nameOf = (index: number): string => `node-${index + 1}`

export type Options = { readonly racks?: number; readonly way?: 'vxlan' | 'native' }

export function rowsOf(
  count: number,
  { racks = count > rackNodes ? Math.ceil(count / rackNodes) : 0, way = 'vxlan' }: Options = {},
): NodeRow[] {
  return Array.from({ length: count }, (_, index): NodeRow => {
    const rack = racks === 0 ? undefined : `r${Math.floor((index * racks) / count) + 1}`
    const pods = 4 + ((index * 7) % 19)
    const others = count - 1
    return {
      name: nameOf(index),
      state: 'ready',
      version: '0.1.0',
      ...(rack !== undefined && { rack }),
      addrs: [`172.30.${1 + Math.floor(index / 200)}.${11 + (index % 200)}`],
      podCIDRs: [`10.${244 + Math.floor(index / 250)}.${index % 250}.0/24`],
      datapath: index % 2 === 0 ? 'bridge' : 'ebpf',
      pods,
      addresses: { cidr: `10.244.${index % 250}.0/24`, used: pods, total: 253 },
      crossings: { vxlan: way === 'vxlan' ? others : 0, native: way === 'native' ? others : 0, none: 0 },
      ...(way === 'native' && { bgp: { up: 2, total: 2 } }),
      policies: { state: 'enforced', selecting: index % 3 },
      pairs: partnersOf(index, count).map((other): ProbedPair => ({
        to: nameOf(other),
        state: 'ok',
        sinceMs: atMs - 3_600_000,
        way,
        rttMs: 0.31 + ((index + other) % 7) / 20,
      })),
      problems: [],
    }
  })
}

const problem = (code: string, object: string, message: string, how: string, remedy: string): Problem => ({
  code,
  object,
  message,
  how,
  remedy,
})

export const firewall = problem(
  'CW7002',
  'node/node-2',
  'table inet host-firewall drops packets of the tunnel (IPv4): rule 1 of chain input (handle 2): meta l4proto udp dport 8472 drop',
  'the rules of nftables, read anew every minute',
  'let them pass before it: nft insert rule inet host-firewall input handle 2 udp dport 8472 accept; and write the same where that firewall keeps its rules',
)

const silence = (other: string): Problem =>
  problem(
    'CW1306',
    `node/${other}`,
    `node ${other} answers nothing that goes as packets of pods: its gateway 10.244.1.1 through the tunnel, since 02:13:41 UTC`,
    'echo requests once a second, as packets of pods and as packets of nodes',
    `see causeway trace node-1 ${other}: it follows a packet to where it ends`,
  )

/** A row with other fields. */
export const changed = (rows: readonly NodeRow[], name: string, more: Partial<NodeRow>): NodeRow[] =>
  rows.map((row) => (row.name === name ? { ...row, ...more } : row))

const withPairs = (
  rows: readonly NodeRow[],
  isHit: (from: string, to: string) => boolean,
  state: ProbedPair['state'],
): NodeRow[] =>
  rows.map((row) => ({
    ...row,
    pairs: row.pairs.map(({ rttMs, ...pair }) =>
      isHit(row.name, pair.to)
        ? { ...pair, state, sinceMs: atMs - 19_000 }
        : { ...pair, ...(rttMs !== undefined && { rttMs }) },
    ),
  }))

/** A firewall of the second node takes the tunnel's packets away. */
export function brokenRows(count: number, options: Options = {}): NodeRow[] {
  const rows = withPairs(rowsOf(count, options), (from, to) => from === 'node-2' || to === 'node-2', 'broken')
  return rows.map((row) => ({
    ...row,
    ...(row.name === 'node-2' && { state: 'ready with problems' as const }),
    problems:
      row.name === 'node-2' ? [firewall] : row.pairs.some(({ state }) => state === 'broken') ? [silence('node-2')] : [],
  }))
}

/** Several things at once, as in a large cluster on a bad night. */
export function troubledRows(count: number, options: Options = {}): NodeRow[] {
  const rows = withPairs(
    brokenRows(count, options),
    (from, to) => [from, to].sort().join() === 'node-4,node-5',
    'lossy',
  )
  return changed(
    changed(rows, 'node-6', {
      state: 'silent',
      why: 'its agent does not answer: connection refused',
      heardMs: Date.now() - 190_000,
    }),
    nameOf(count - 1),
    {
      state: 'not ready',
      problems: [
        problem(
          'CW1002',
          `node/${nameOf(count - 1)}`,
          'the node has no pod CIDR: pods cannot be wired here',
          'spec.podCIDRs of its Node object',
          'see that the controller runs: kubectl -n causeway get deployment; or --allocate-node-cidrs of the controller manager',
        ),
      ],
    },
  )
}

export const healthyDoctor: DoctorState = {
  state: 'done',
  atMs,
  reportMs: atMs,
  report: {
    summary: 'nothing is wrong: 6 of 6 packets between pods of 3 nodes came and were answered',
    findings: [],
    notes: [],
    nodes: [],
    packets: [],
    packetsLeftOut: 0,
    exitStatus: 0,
  },
}

export const brokenDoctor: DoctorState = {
  ...healthyDoctor,
  report: {
    ...healthyDoctor.report!,
    summary: '1 thing is wrong; 2 of 6 packets between pods of 3 nodes came and were answered',
    findings: [
      {
        ...firewall,
        objects: [firewall.object],
        nodes: ['node-2'],
        consequences: [
          'node-1 tells CW1306 node/node-2: node node-2 answers nothing that goes as packets of pods',
          '4 of the packets that were followed are lost, the first: ICMP from pod default/web-1 to pod default/web-2',
        ],
        explains: [{ code: 'CW1306', object: 'node/node-2' }],
        lost: [],
      },
    ],
    exitStatus: 1,
  },
}

/** Nodes were asked just now, and are asked again when the test is done. */
export const timesNow = (): Required<Times> => {
  const nowMs = Date.now()
  return { nowMs, askedMs: nowMs, dueMs: nowMs + 60_000 }
}

export const allLine = (nodes: readonly NodeRow[], doctor?: DoctorState): LiveLine => ({
  kind: 'all',
  source: 'lab default',
  version: '0.1.0',
  nodes,
  ...timesNow(),
  ...(doctor && { doctor }),
})
