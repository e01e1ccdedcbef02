// What doctor and trace say of a lab that is broken on purpose.
import assert from 'node:assert/strict'
import { causeway, run } from '../e2e/harness.ts'
import { effects, type Struck } from './effects.ts'
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

/** Throws unless there is one finding of each of these codes, at the node that is struck, and no other. `stale` are those of faults before. */
export function assertFindings(
  told: Diagnosed,
  {
    codes,
    node,
    stale,
  }: { readonly codes: readonly string[]; readonly node: string; readonly stale: ReadonlySet<string> },
): void {
  const own = told.findings.filter(({ code }) => codes.includes(code) || !stale.has(code))
  assert.deepEqual(own.map(({ code }) => code).toSorted(), codes.toSorted(), findingsText(told))
  for (const finding of own) {
    const { code, objects, nodes } = finding
    // what is of a Node object that was made for the fault stands on that one
    const isThere =
      nodes.includes(node) || objects.some((object) => object.includes(node) || /^node\/(aaa|zz)-/.test(object))
    assert.ok(isThere, `${code} is of ${node}: ${findingsText(told)}`)
  }
}

type TraceHop = { readonly node: string; readonly place: string; readonly pod?: string }
type TraceVerdict = {
  readonly outcome: string
  readonly text: string
  readonly code?: string
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

/** Asserts that a trace of a packet that is lost says where: the first of those between the two nodes. Returns what it says in short. */
export function assertTrace(fault: string, struck: Struck): string {
  const { node, peer, lab } = struck
  const isBetween = ({ fromNode, toNode }: Probed): boolean =>
    (fromNode === node && toNode === peer) || (fromNode === peer && toNode === node)
  const effect = effects[fault]!
  const lost = struck.probes.find((probe) => isBetween(probe) && !probe.isFine && effect.fails(probe, struck) === true)
  if (lost === undefined || effect.ends === 'nowhere') return 'no packet between the nodes is lost'
  const { from, to, family, protocol } = lost
  const { status, stdout, stderr } = run(causeway, [
    'trace',
    '--lab',
    lab,
    `default/${from}`,
    protocol === 'tcp' ? `default/${to}:8080` : `default/${to}`,
    '--family',
    String(family),
    '--json',
  ])
  assert.notEqual(stdout, '', stderr)
  const { verdict } = JSON.parse(stdout) as { verdict: TraceVerdict }
  const what = `${fault}: ${from} to ${to} ${protocol} IPv${family}: ${verdict.text}`
  assert.equal(status, 1, what)
  assert.notEqual(verdict.outcome, 'answered', what)
  const { ends } = effect
  const end = endOf(verdict)
  const isNamed = ends !== 'anywhere' && verdict.outcome !== 'not-sent' && verdict.outcome !== 'refused'
  if (isNamed) assert.equal(end, ends === undefined ? node : ends === 'peer' ? peer : ends, what)
  return `${verdict.outcome} ${verdict.code ?? '-'} at ${end ?? '-'}`
}
