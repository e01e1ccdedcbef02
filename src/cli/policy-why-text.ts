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
import { someOf } from '#/lib/some-of.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { isAllowed, type Why } from './policy-why-merge.ts'

/** So many rules that do not match are shown of one direction, and so many reasons of each. */
const missesShown = 8
const reasonsShown = 2
const changesShown = 3
const rangesShown = 10

function hanging(text: string, width: number, hang = 2): string[] {
  const indent = text.length - text.trimStart().length
  return wrapWords(text.trimStart(), width - indent - hang).map(
    (line, index) => ' '.repeat(index === 0 ? indent : indent + hang) + line,
  )
}

function endText({ addr, pod, node }: ToldEnd): string {
  if (pod !== undefined) return `${pod} (${addr}${node === undefined ? '' : ` on ${node}`})`
  return node === undefined ? addr : `node ${node} (${addr})`
}

function pairText({ from, to, protocol, port, ports }: ToldPair): string {
  const what = ports === undefined ? `, ${protocol}${port === undefined ? '' : ` ${port}`}` : ''
  return `${endText(from)} → ${endText(to)}${what}`
}

function rangeText({ first, last }: { readonly first: number; readonly last: number }): string {
  return first === last ? String(first) : `${first}-${last}`
}

function openText({ protocol, ranges, isAllowed: isOpen }: OpenPortsReport): string[] {
  if (!isOpen) return []
  const isWhole = ranges === undefined || (ranges.length === 1 && ranges[0]!.first <= 1 && ranges[0]!.last === 65_535)
  if (isWhole) return [protocol]
  const more = ranges.length - rangesShown
  return [`${protocol} ${ranges.slice(0, rangesShown).map(rangeText).join(', ')}${more > 0 ? ` and ${more} more` : ''}`]
}

function portsText(ports: readonly OpenPortsReport[]): string {
  const open = ports.flatMap(openText)
  if (open.length === 0) return 'DENIED, all of it'
  const isAll = open.length === ports.length && open.every((text, index) => text === ports[index]!.protocol)
  return isAll ? 'allowed, all of it' : `allowed: ${open.join('; ')}`
}

function verdictText(why: Why): string {
  const { egress, ingress, ports } = why.pair
  if (ports !== undefined) return portsText(ports)
  const denying = [egress, ingress].filter(({ isDenied }) => isDenied)
  const where = denying.map(({ direction, pod }) => `${direction} of ${pod}`).join(' and ')
  if (!isAllowed(why)) return `DENIED by ${where}`
  return denying.length === 0 ? 'allowed' : `allowed, though ${where} would deny it: its namespace is audited`
}

type Checks = ToldRule['peers']
const isHit = (checks: Checks): boolean => checks.length === 0 || checks.some((each) => each.isMatch)

function checkTexts(checks: Checks, isWanted: boolean): string[] {
  const texts = checks.filter((each) => each.isMatch === isWanted).map(({ text }) => text)
  const more = texts.length - reasonsShown
  return more > 0 ? [...texts.slice(0, reasonsShown), `and ${more} more`] : texts
}

type Outcome = 'yes' | 'no' | 'port'

/** `port`: it depends on the port, which was not asked about. */
function outcomeOf({ isMatch, peers }: ToldRule, isAnyPort: boolean): Outcome {
  if (isMatch) return 'yes'
  return isAnyPort && isHit(peers) ? 'port' : 'no'
}

/** Why it matches, or what of it does not. */
function reasons({ peers, ports }: ToldRule, outcome: Outcome, isAnyPort: boolean): string {
  if (outcome === 'yes') return [...checkTexts(peers, true), ...checkTexts(ports, true)].join('; ')
  if (outcome === 'port') return [...checkTexts(ports, false), ...checkTexts(peers, true)].join('; ')
  const ofPorts = isAnyPort || isHit(ports) ? [] : checkTexts(ports, false)
  return [...(isHit(peers) ? [] : checkTexts(peers, false)), ...ofPorts].join('; ')
}

function policyTitle({ policy, tier, priority }: ToldPolicy): string {
  return priority === undefined ? policy : `${policy} (${tier} ${priority})`
}

/** The rules that were asked: of tiers in which the first that matches decides none behind it. */
function askedRules({ tier, rules }: ToldPolicy): readonly ToldRule[] {
  const first = rules.findIndex((each) => each.isMatch)
  return tier === 'NetworkPolicy' || first < 0 ? rules : rules.slice(0, first + 1)
}

/** The rules of a direction by policy: those that match, and of the others a few. */
function ruleLines({ direction, policies }: ToldDirection, isAnyPort: boolean, width: number): string[] {
  const lines: string[] = []
  let [misses, left] = [0, 0]
  for (const each of policies.filter(({ isAsked }) => isAsked)) {
    lines.push(...hanging(`  ${policyTitle(each)}`, width))
    if (each.rules.length === 0) lines.push(`    has no ${direction} rules, so it allows nothing`)
    for (const rule of askedRules(each)) {
      const outcome = outcomeOf(rule, isAnyPort)
      if (outcome === 'no' && misses++ >= missesShown) {
        left++
        continue
      }
      const name = `${direction}[${rule.index}]${rule.name === undefined ? '' : ` ${rule.name}`}`
      const text = `    ${outcome.padEnd(4)}  ${name} ${rule.action}: ${reasons(rule, outcome, isAnyPort)}`
      lines.push(...hanging(text, width, 6))
    }
  }
  const notAsked = policies.filter(({ isAsked }) => !isAsked).map(({ policy }) => policy)
  return [
    ...lines,
    ...(left === 0 ? [] : [`    and ${left} more that ${left === 1 ? 'does' : 'do'} not match; --json has all`]),
    ...(notAsked.length === 0 ? [] : hanging(`  not asked, as it was decided before: ${someOf(notAsked)}`, width)),
  ]
}

function directionLines(told: ToldDirection, isAnyPort: boolean, width: number): string[] {
  const { direction, pod, decision, isDenied, isAudited, policies, kernel } = told
  if (pod === undefined) return []
  const verdict = isDenied ? (isAudited ? 'would be denied: ' : 'denied: ') : 'allowed: '
  // without a port there is no one decision where there are policies
  const head = isAnyPort ? (policies.length === 0 ? `: ${decision}` : '') : `: ${verdict}${decision}`
  const enforced = kernel && (kernel.isThere ? `  enforced by ${kernel.text}` : `! not in the kernel: ${kernel.text}`)
  return [
    '',
    ...hanging(`${direction} of ${pod}${head}`, width),
    ...ruleLines(told, isAnyPort, width),
    ...(enforced === undefined ? [] : hanging(enforced, width)),
  ]
}

/** An object that a command reads is between the marks of a shell, and not indented: so it can be copied. */
function changeLines({ what, note, command, yaml }: ToldChange, start: string, width: number): string[] {
  const object = yaml?.trimEnd().split('\n') ?? []
  const isRead = command?.endsWith(' -') === true
  const below = isRead
    ? [`${command} <<'END'`, ...object, 'END']
    : [...object, ...(command === undefined ? [] : [command])].map((line) => `    ${line}`)
  const notes = note === undefined ? [] : hanging(`    (${note})`, width, 1)
  return [...hanging(`${start}${what}`, width), ...below, ...notes]
}

/** The first change in whole, others by name. */
function directionChanges({ direction, pod, changes }: ToldDirection, verb: 'allow' | 'deny', width: number): string[] {
  const [first, ...others] = changes.slice(0, changesShown)
  if (first === undefined) return []
  return [
    '',
    ...changeLines(first, `to ${verb} it in ${direction} of ${pod}: `, width),
    ...others.flatMap(({ what }) => hanging(`  or ${what}`, width)),
  ]
}

function changeBlock({ egress, ingress, isDropped }: ToldPair, width: number): string[] {
  if (isDropped) {
    const denying = [egress, ingress].filter(({ isDenied, isAudited }) => isDenied && !isAudited)
    const lines = denying.flatMap((each) => directionChanges(each, 'allow', width))
    return denying.length > 1 && lines.length > 0
      ? [...lines, '', 'both directions deny it: both need a change']
      : lines
  }
  // what is denied in one direction is denied: one change is enough
  const changeable = [ingress, egress].find((each) => !each.isDenied && each.changes.length > 0)
  return changeable === undefined ? [] : directionChanges(changeable, 'deny', width)
}

function renderOne(why: Why, width: number): string {
  const { pair, notes } = why
  const isAnyPort = pair.ports !== undefined
  return [
    ...hanging(pairText(pair), width),
    ...hanging(verdictText(why), width),
    ...notes.flatMap((note) => hanging(`! ${note}`, width)),
    ...directionLines(pair.egress, isAnyPort, width),
    ...directionLines(pair.ingress, isAnyPort, width),
    ...(isAnyPort ? [] : changeBlock(pair, width)),
  ].join('\n')
}

function gistOf({ pair: { isDropped, ports, egress, ingress }, notes }: Why): string {
  const protocols = ports?.map(({ protocol, ...rest }) => ({ ...rest, protocol: protocol.replace('v6', '') }))
  return JSON.stringify([
    isDropped,
    protocols,
    egress.decision,
    egress.kernel?.isThere,
    ingress.decision,
    ingress.kernel?.isThere,
    notes,
  ])
}

/** A family with the same outcome as the first is one line. */
export function renderWhys(whys: readonly Why[], width: number): string {
  const [first, ...others] = whys
  if (first === undefined) return ''
  const blocks = others.map((why) =>
    gistOf(why) === gistOf(first)
      ? hanging(`${pairText(why.pair)}: the same`, width).join('\n')
      : renderOne(why, width),
  )
  return [renderOne(first, width), ...blocks].join('\n\n')
}

/** Of several receivers: one that is denied in whole, or the first, and the others in a line each. */
export function renderEach(whys: readonly Why[], width: number): string {
  const shown = whys.find((why) => !isAllowed(why)) ?? whys[0]
  if (shown === undefined) return ''
  const others = whys.filter((why) => why !== shown)
  const lines = others.flatMap((why) => hanging(`${pairText(why.pair)}: ${verdictText(why)}`, width))
  return [renderOne(shown, width), ...(lines.length === 0 ? [] : [lines.join('\n')])].join('\n\n')
}
