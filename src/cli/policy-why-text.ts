// What decides about a packet, as text. Pure.
import {
  type OpenPortsReport,
  type ToldChange,
  type ToldDirection,
  type ToldEnd,
  type ToldPair,
  type ToldPolicy,
  type ToldRule,
} from '#/api/schemas/policy.ts'
import { table } from '#/lib/table.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { isAllowed, type Why } from './policy-why-merge.ts'

/** So many rules that do not match are shown of one direction, and so many reasons of each. */
const missesShown = 8
const reasonsShown = 2
const changesShown = 3

export function endText({ addr, pod, node }: ToldEnd): string {
  if (pod !== undefined) return `${pod} (${addr}${node === undefined ? '' : ` on ${node}`})`
  return node === undefined ? addr : `node ${node} (${addr})`
}

function rangeText({ first, last }: { readonly first: number; readonly last: number }): string {
  return first === last ? String(first) : `${first}-${last}`
}

function openText({ protocol, ranges, isAllowed: isOpen }: OpenPortsReport): string[] {
  if (!isOpen) return []
  const isWhole = ranges === undefined || (ranges.length === 1 && ranges[0]!.first === 0 && ranges[0]!.last === 65_535)
  return [isWhole ? protocol : `${protocol} ${ranges.map(rangeText).join(', ')}`]
}

function portsLine(ports: readonly OpenPortsReport[]): string {
  const open = ports.flatMap(openText)
  const isAll = open.length === ports.length && open.every((text, index) => text === ports[index]!.protocol)
  return `allowed: ${isAll ? 'everything' : open.join('; ') || 'nothing'}`
}

function verdictText(why: Why): string {
  const { pair } = why
  const audited = [pair.egress, pair.ingress].some((each) => each.isAudited)
  if (pair.ports !== undefined) return portsLine(pair.ports)
  if (!isAllowed(why)) return 'DENIED'
  return audited ? 'allowed, since its namespace is audited; policies deny it' : 'allowed'
}

function headLine(why: Why): string {
  const { from, to, protocol, port, ports } = why.pair
  const what = ports === undefined ? `, ${protocol}${port === undefined ? '' : ` ${port}`}` : ''
  return `${endText(from)} → ${endText(to)}${what}: ${verdictText(why)}`
}

/** Why a rule matches, or what of it does not; `isAnyPort`: no port was asked about. */
function reasonOf({ peers, ports, isMatch }: ToldRule, isAnyPort: boolean): string {
  const hit = (checks: ToldRule['peers']): boolean => checks.length === 0 || checks.some((each) => each.isMatch)
  const shown = (name: string, checks: ToldRule['peers'], wanted: boolean): string[] => {
    const texts = checks.filter((each) => each.isMatch === wanted).map(({ text }) => text)
    const more = texts.length - reasonsShown
    const some = more > 0 ? [...texts.slice(0, reasonsShown), `and ${more} more`] : texts
    return some.length === 0 ? [] : [`${name} ${some.join('; ')}`]
  }
  if (isMatch) {
    const texts = [...shown('peer', peers, true), ...shown('port', ports, true)]
    return texts.join('; ') || 'any peer, any port'
  }
  if (isAnyPort && hit(peers)) return shown('port', ports, false).join('')
  return [
    ...(hit(peers) ? [] : shown('peer', peers, false)),
    ...(hit(ports) || isAnyPort ? [] : shown('port', ports, false)),
  ].join('; ')
}

function ruleRow(policy: string, direction: string, rule: ToldRule, isAnyPort: boolean): string[] {
  const { index, name, action, isMatch, peers, ports } = rule
  const isPeer = peers.length === 0 || peers.some((each) => each.isMatch)
  const matches = isMatch ? 'yes' : isAnyPort && isPeer && ports.length > 0 ? 'by port' : 'no'
  return [
    policy,
    `${direction}[${index}]${name === undefined ? '' : ` ${name}`}`,
    action,
    matches,
    reasonOf(rule, isAnyPort),
  ]
}

function policyTitle({ policy, tier, priority }: ToldPolicy): string {
  return priority === undefined ? policy : `${policy} (${tier} ${priority})`
}

/** The rules of a direction, those that match first in their order, and of the others a few. */
function rulesTable({ direction, policies }: ToldDirection, isAnyPort: boolean, width: number): string[] {
  const rows: string[][] = []
  let [misses, left] = [0, 0]
  for (const each of policies) {
    const title = policyTitle(each)
    if (!each.isAsked) {
      rows.push([title, '-', '-', '-', 'not asked: it was decided before'])
      continue
    }
    if (each.rules.length === 0) rows.push([title, '-', '-', 'no', `has no ${direction} rules, so it allows nothing`])
    for (const rule of each.rules) {
      const row = ruleRow(title, direction, rule, isAnyPort)
      if (row[3] !== 'no') rows.push(row)
      else if (misses++ < missesShown) rows.push(row)
      else left++
    }
  }
  if (rows.length === 0) return []
  const shown = table(['POLICY', 'RULE', 'ACTION', 'MATCHES', 'WHY'], rows, { width: width - 2, labelledBy: [0, 1] })
  const more =
    left === 0 ? [] : [`and ${left} more ${left === 1 ? 'rule that does' : 'rules that do'} not match; --json has all`]
  return [...shown.split('\n'), ...more].map((line) => `  ${line}`)
}

function directionLines(told: ToldDirection, isAnyPort: boolean, width: number): string[] {
  const { direction, pod, decision, isDenied, isAudited, kernel } = told
  if (pod === undefined) return []
  const verdict = isDenied ? (isAudited ? 'would be denied (audit)' : 'denied') : 'allowed'
  const head = isAnyPort
    ? `${direction} of ${pod}${told.policies.length === 0 ? `: ${decision}` : ''}`
    : `${direction} of ${pod}: ${verdict}: ${decision}`
  const rules = rulesTable(told, isAnyPort, width)
  const enforced =
    kernel === undefined
      ? []
      : [kernel.isThere ? `  enforced by ${kernel.text}` : `! not in the kernel: ${kernel.text}`]
  return ['', ...hanging(head, width), ...rules, ...enforced.flatMap((line) => hanging(line, width))]
}

function hanging(text: string, width: number): string[] {
  const indent = text.length - text.trimStart().length
  return wrapWords(text.trimStart(), width - indent - 2).map(
    (line, index) => ' '.repeat(index === 0 ? indent : indent + 2) + line,
  )
}

function changeLines({ what, note, command, yaml }: ToldChange, start: string, width: number): string[] {
  const below = command === undefined ? (yaml?.trimEnd().split('\n') ?? []) : [command]
  return [
    ...hanging(`${start}${what}${note === undefined ? '' : `; ${note}`}`, width),
    ...below.map((line) => `    ${line}`),
  ]
}

/** All of these directions are to be changed, or one of them; the first change in whole, others by name. */
function changesOf({ direction, pod, changes }: ToldDirection, verb: 'allow' | 'deny', width: number): string[] {
  const [first, ...others] = changes.slice(0, changesShown)
  if (first === undefined) return []
  return [
    '',
    ...changeLines(first, `to ${verb} it in ${direction} of ${pod}: `, width),
    ...others.flatMap(({ what }) => hanging(`  or ${what}`, width)),
  ]
}

function changes({ egress, ingress, isDropped }: ToldPair, width: number): string[] {
  const denying = [egress, ingress].filter(({ isDenied, isAudited }) => isDenied && !isAudited)
  if (isDropped) {
    const lines = denying.flatMap((each) => changesOf(each, 'allow', width))
    return denying.length > 1 && lines.length > 0
      ? [...lines, '', 'both directions deny it: both need a change']
      : lines
  }
  // what is denied in one direction is denied: one change is enough
  const [smallest] = [ingress, egress].filter((each) => each.changes.length > 0)
  return smallest === undefined ? [] : changesOf(smallest, 'deny', width)
}

function renderOne(why: Why, width: number): string {
  const { pair, notes } = why
  const isAnyPort = pair.ports !== undefined
  return [
    ...hanging(headLine(why), width),
    ...notes.flatMap((note) => hanging(`! ${note}`, width)),
    ...directionLines(pair.egress, isAnyPort, width),
    ...directionLines(pair.ingress, isAnyPort, width),
    ...(isAnyPort ? [] : changes(pair, width)),
  ].join('\n')
}

const gistOf = (why: Why): string =>
  JSON.stringify([isAllowed(why), why.pair.ports, why.pair.egress.decision, why.pair.ingress.decision])

/** A family with the same outcome as the first is told in its first line alone. */
export function renderWhys(whys: readonly Why[], width: number): string {
  const [first] = whys
  if (first === undefined) return ''
  const blocks = whys.map((why, index) =>
    index > 0 && gistOf(why) === gistOf(first) && why.notes.length === 0
      ? hanging(headLine(why), width).join('\n')
      : renderOne(why, width),
  )
  return blocks.join('\n\n')
}
