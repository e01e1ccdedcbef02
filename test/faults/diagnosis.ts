// What doctor and trace say of a lab that is broken on purpose.
import assert from 'node:assert/strict'
import { causeway, run } from '../e2e/harness.ts'
import { type Effect, effects, type Struck } from './effects.ts'
import { type Probed } from './fault-lab.ts'

type Finding = {
  readonly code: string
  readonly objects: readonly string[]
  readonly nodes: readonly string[]
  readonly message: string
  readonly consequences: readonly string[]
}

export type Diagnosed = {
  readonly summary: string
  readonly findings: readonly Finding[]
  readonly status: number | null
}

export function doctorOf(lab: string): Diagnosed {
  const { status, stdout, stderr } = run(causeway, ['doctor', '--lab', lab, '--json'])
  assert.notEqual(stdout, '', stderr)
  const { summary, findings } = JSON.parse(stdout) as Diagnosed
  assert.equal(status, findings.length === 0 ? 0 : 1, stdout)
  return { summary, findings, status }
}

export function findingsText({ summary, findings }: Diagnosed): string {
  return [
    summary,
    ...findings.map(
      ({ code, objects, nodes, message }) => `${code} ${nodes.join(',')} ${objects.join(' ')}: ${message}`,
    ),
  ].join('\n')
}

/** What tells findings apart. */
export const nameOf = ({ code, objects }: Finding): string => `${code} ${objects[0]}`

/** Throws unless there is one finding of each of these codes, at the node that is struck, and no other. `stale` are the names of those of faults before. */
export function assertFindings(
  told: Diagnosed,
  {
    codes,
    node,
    stale,
  }: { readonly codes: readonly string[]; readonly node: string; readonly stale: ReadonlySet<string> },
): void {
  const own = told.findings.filter((finding) => !stale.has(nameOf(finding)))
  assert.deepEqual(own.map(({ code }) => code).toSorted(), codes.toSorted(), findingsText(told))
  for (const finding of own) {
    const { code, objects, nodes } = finding
    // what is of a Node object that was made for the fault stands on that one
    const isThere =
      nodes.includes(node) || objects.some((object) => object.includes(node) || /^node\/(aaa|zz)-/.test(object))
    assert.ok(isThere, `${code} is of ${node}: ${findingsText(told)}`)
  }
}

type TraceHop = { readonly node: string; readonly device?: string; readonly place: string; readonly pod?: string }
type TraceVerdict = {
  readonly outcome: string
  readonly text: string
  readonly code?: string
  readonly kind?: string
  readonly drop?: TraceHop
  readonly lastSeen?: TraceHop
  readonly firstNotSeen?: TraceHop
}

/** Where a packet ended: at a node, or on the wire between two. */
function endOf({ drop, lastSeen, firstNotSeen }: TraceVerdict): string | undefined {
  if (drop !== undefined) return drop.node
  const hasLeft = lastSeen?.place === 'transmit' && lastSeen.pod === undefined
  if (hasLeft && (firstNotSeen === undefined || firstNotSeen.node !== lastSeen.node)) return 'wire'
  return lastSeen?.node
}

/** So often a packet is sent that may be answered. */
const mostTries = 8

/** The words of a trace of a packet that is lost: the first of those between the two nodes, or another one. */
function lostPacket(fault: string, struck: Struck): readonly string[] | undefined {
  const { node, peer, probes } = struck
  const effect = effects[fault]!
  if (effect.traced !== undefined) return effect.traced(struck)
  const isBetween = ({ fromNode, toNode }: Probed): boolean =>
    (fromNode === node && toNode === peer) || (fromNode === peer && toNode === node)
  const lost = probes.find((probe) => isBetween(probe) && !probe.isFine && effect.fails(probe, struck) === true)
  if (lost === undefined || effect.ends === 'nowhere') return undefined
  const { from, to, family, protocol } = lost
  const end = `default/${to}${protocol === 'tcp' ? ':8080' : ''}`
  return [`default/${from}`, end, '--family', String(family)]
}

function traceOf(lab: string, words: readonly string[]): { status: number | null; verdict: TraceVerdict } {
  const { status, stdout, stderr } = run(causeway, ['trace', '--lab', lab, ...words, '--json'])
  assert.notEqual(stdout, '', stderr)
  const { verdict } = JSON.parse(stdout) as { verdict: TraceVerdict }
  return { status, verdict }
}

const portOf = (node: string): string => `eth0 of ${node}`

function wantedEnds(ends: Effect['ends'], { node, peer }: Struck): readonly (string | undefined)[] {
  if (ends === undefined) return [node]
  if (ends === 'peer') return [peer]
  return ends === 'port' ? ['wire', portOf(node)] : [ends]
}

/** Asserts that a trace of a packet that is lost says where. Returns what it says in short. */
export function assertTrace(fault: string, struck: Struck): string {
  const words = lostPacket(fault, struck)
  if (words === undefined) return 'nothing: no packet is lost for certain'
  const tries = effects[fault]!.traced === undefined ? 1 : mostTries
  let { status, verdict } = traceOf(struck.lab, words)
  // what makes the packet one that is lost is made anew: a table that was full has room again
  for (let more = tries - 1; status === 0 && more > 0; more--)
    ({ status, verdict } = traceOf(struck.lab, lostPacket(fault, struck) ?? words))
  const what = `${fault}: trace ${words.join(' ')}: ${verdict.text}`
  assert.equal(status, 1, what)
  assert.notEqual(verdict.outcome, 'answered', what)
  const { ends } = effects[fault]!
  const isAtPort = ends === 'port' && verdict.drop?.device === 'eth0'
  const end = isAtPort ? portOf(verdict.drop!.node) : endOf(verdict)
  const isNamed = ends !== 'anywhere' && verdict.outcome !== 'not-sent' && verdict.outcome !== 'refused'
  if (isNamed) assert.ok(end !== undefined && wantedEnds(ends, struck).includes(end), `${what} (${end})`)
  return `${verdict.outcome} ${verdict.code ?? verdict.kind ?? '-'} at ${end ?? '-'}`
}
