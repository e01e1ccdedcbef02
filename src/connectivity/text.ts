// What a connectivity test says on a terminal. Pure.
import { type PacketEnd } from '#/doctor/types.ts'
import { groupByCause } from '#/lib/causes.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { plural } from '#/lib/plural.ts'
import { type Fault, type Probe, type ProbeResult, type ScenarioResult } from './types.ts'

const words = { passed: 'ok', failed: 'FAIL', skipped: 'skip' } as const
const wordWidth = 6
const nameWidth = 14
/** Of failures that have one cause each, so many are told. */
const mostTold = 6

function endText({ name, node, isPod }: PacketEnd): string {
  if (isPod) return `pod ${name} on ${node}`
  return name
}

const protocolWords = { icmp: 'an echo', tcp: 'TCP', udp: 'UDP' } as const

/** "TCP over IPv4 from pod causeway-test/client-1 on node-1 to …" */
export function probeText({ from, to, target, family, protocol, port, isOfFullSize }: Probe): string {
  const what = isOfFullSize ? 'an echo of full size' : protocolWords[protocol]
  const at = protocol === 'icmp' ? '' : ` port ${port}`
  const address = !to.isPod && target !== undefined && target !== to.name ? ` (${target})` : ''
  return `${what} over IPv${family} from ${endText(from)} to ${endText(to)}${address}${at}`
}

export const withCode = (code: string | undefined, text: string): string =>
  code === undefined ? text : `${code} ${text}`

/** What stands below a fault: what mends it, and what follows from it. */
export const detailsOf = ({ remedy, consequences = [] }: Fault): string[] => [
  ...(remedy === undefined ? [] : [`remedy: ${remedy}`]),
  ...consequences.map((each) => `so: ${each}`),
]

/** The fault that a probe is which did not pass. */
export function faultOf({ probe, text, code, remedy }: ProbeResult): Fault {
  return {
    subject: probeText(probe),
    text,
    ...(code !== undefined && { code }),
    ...(remedy !== undefined && { remedy }),
  }
}

function hanging(text: string, start: string, rest: string, columns: number): string[] {
  return wrapWords(text, columns - rest.length).map((piece, index) => (index === 0 ? start : rest) + piece)
}

function faultLines(fault: Fault, more: number, columns: number): string[] {
  const { subject, text, code } = fault
  const like = more === 0 ? '' : ` (and ${more} more like it)`
  return [
    ...hanging(`${withCode(code, subject)}: ${text}${like}`, '      ! ', '        ', columns),
    ...detailsOf(fault).flatMap((each) => hanging(each, '      !     ', '            ', columns)),
  ]
}

/** Names that differ from failure to failure of one cause. */
function namesIn({ from, to, target }: Probe): string[] {
  return [from.name, from.node, to.name, to.node, target ?? '']
}

type Alike = { readonly fault: Fault; readonly more: number }

/** What has one remedy has one cause; of the rest, what says the same but for names. */
function alikeProbes(bad: readonly ProbeResult[]): Alike[] {
  const like = bad.map((each) => ({
    subject: '',
    text: each.code !== undefined && each.remedy !== undefined ? `${each.code} ${each.remedy}` : each.text,
    names: namesIn(each.probe),
    fault: faultOf(each),
  }))
  return groupByCause(like).map((group) => ({ fault: group[0]!.fault, more: group.length - 1 }))
}

/** Faults that say the same but for names and numbers, such as those of ports, are one. */
function alikeFaults(faults: readonly Fault[]): Alike[] {
  const like = faults.map((fault) => ({
    fault,
    subject: fault.subject,
    text: `${fault.code ?? ''} ${fault.text}`.replaceAll(/\d+/g, ''),
    names: fault.subject.replaceAll(/\d+/g, '').split(' '),
  }))
  return groupByCause(like).map((group) => ({ fault: group[0]!.fault, more: group.length - 1 }))
}

/** A line for a scenario, and below it what went wrong. */
export function scenarioLines({ name, state, text, probes, faults, ms }: ScenarioResult, columns: number): string[] {
  const time = state === 'skipped' ? '' : `, ${(ms / 1000).toFixed(1)} s`
  const first = `${words[state].padEnd(wordWidth)}${name.padEnd(nameWidth)} `
  const ofProbes = alikeProbes(probes.filter((each) => each.state !== 'passed'))
  const all = [...alikeFaults(faults), ...ofProbes]
  const left = all.length - mostTold
  return [
    ...hanging(`${text}${time}`, first, ' '.repeat(first.length), columns),
    ...(state === 'skipped'
      ? []
      : all.slice(0, mostTold).flatMap(({ fault, more }) => faultLines(fault, more, columns))),
    ...(left > 0 ? [`      ! and ${left} more; --json has all of them`] : []),
  ]
}

/** What is said of the whole, in one line. */
export function summaryText(results: readonly ScenarioResult[], ms: number): string {
  const count = (state: ScenarioResult['state']): number => results.filter((each) => each.state === state).length
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')]
  const probes = results.flatMap((each) => each.probes)
  const good = probes.filter(({ state }) => state === 'passed').length
  const packets =
    probes.length === 0 ? 'no packets were sent' : `${good} of ${plural(probes.length, 'packet')} did what they should`
  const rest = skipped === 0 ? '' : `, ${skipped} skipped`
  const whole =
    failed === 0 ? `${plural(passed, 'scenario')} passed` : `${failed} of ${plural(passed + failed, 'scenario')} failed`
  return `${whole}${rest}: ${packets}, in ${(ms / 1000).toFixed(1)} s`
}

/** How many of the packets of a scenario did what they should. */
export function probesText(probes: readonly ProbeResult[]): string {
  const good = probes.filter(({ state }) => state === 'passed')
  // one that is taken is sent again only to see who takes it
  const again = good.filter(({ tries, isOneWay }) => tries > 1 && isOneWay !== true).length
  const isDenial = probes.every(({ probe }) => probe.expects === 'denial')
  const what = isDenial ? 'did not arrive' : 'arrived and were answered'
  const oneWay = good.filter((each) => each.isOneWay).length
  const byChance = good.filter((each) => each.isByChance).length
  return [
    `${good.length} of ${plural(probes.length, 'packet')} ${what}`,
    ...(again === 0 ? [] : [`${again} of them only when sent again`]),
    ...(oneWay === 0 ? [] : [`${oneWay} of them were taken by a process that does not answer`]),
    ...(byChance === 0 ? [] : [`${byChance} of them for another reason than a policy`]),
  ].join(', ')
}
