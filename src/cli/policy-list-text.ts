// The network policies of a cluster and what they select, as text: one report out of those of several agents. Pure.
import { type ListedPod, type ListedPolicy, type PolicyListReport } from '#/api/schemas/policy.ts'
import { someOf } from '#/lib/some-of.ts'
import { table } from '#/lib/table.ts'
import { wrapWords } from '#/lib/wrap.ts'

/** What is shown: everything, one namespace, or one pod. */
export type ListChoice = { readonly namespace?: string | undefined; readonly pod?: string | undefined }

type Rule = ListedPolicy['rules'][number]
type PodRow = ListedPod & { readonly node: string }

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined ? other : other === undefined ? one : one + other
}

function joinedRule(one: Rule, other: Rule | undefined): Rule {
  const connections = sum(one.connections, other?.connections)
  return { ...one, ...(connections !== undefined && { connections }) }
}

/** A policy as all nodes together see it: what each has counted is added up. */
function joined(one: ListedPolicy, other: ListedPolicy): ListedPolicy {
  const same = ({ direction, index }: Rule): Rule | undefined =>
    other.rules.find((each) => each.direction === direction && each.index === index)
  return {
    ...one,
    pods: Math.max(one.pods, other.pods),
    podsHere: one.podsHere + other.podsHere,
    rules: one.rules.map((rule) => joinedRule(rule, same(rule))),
  }
}

/** All policies that any of these nodes tells of. */
export function policiesOf(reports: readonly PolicyListReport[]): ListedPolicy[] {
  const all = new Map<string, ListedPolicy>()
  for (const { policies } of reports)
    for (const each of policies) {
      const known = all.get(each.policy)
      all.set(each.policy, known === undefined ? each : joined(known, each))
    }
  return [...all.values()]
}

/** "default/web" for "web"; the pod of that name elsewhere, when there is one and none in default. */
export function podNamed(name: string, pods: readonly string[]): string | undefined {
  if (name.includes('/')) return pods.find((each) => each === name)
  const same = pods.filter((each) => each.endsWith(`/${name}`))
  return same.find((each) => each === `default/${name}`) ?? (same.length === 1 ? same[0] : undefined)
}

const directions = ['ingress', 'egress'] as const

function decided(rules: readonly Rule[], action: Rule['action']): string {
  const counts = rules.flatMap((each) =>
    each.action === action && each.connections !== undefined ? [each.connections] : [],
  )
  return counts.length === 0 ? '-' : String(counts.reduce((all, each) => all + each, 0))
}

function policiesTable(policies: readonly ListedPolicy[], width: number): string {
  const rows = policies.map(({ policy, tier, priority, subject, pods, podsHere, rules }) => [
    policy,
    tier === undefined ? 'none' : priority === undefined ? '-' : `${tier} ${priority}`,
    String(pods),
    String(podsHere),
    String(rules.length),
    decided(rules, 'accept'),
    decided(rules, 'deny'),
    subject,
  ])
  const columns = ['POLICY', 'TIER', 'PODS', 'HERE', 'RULES', 'ALLOWED', 'DENIED', 'SELECTS']
  return table(columns, rows, { width })
}

/** Pods with the same policies in one direction; `denied` is of each node and class once. */
type PodGroup = {
  readonly direction: string
  readonly mode: string
  readonly policies: string
  readonly pods: string[]
  readonly denied: Map<string, number>
}

function podGroups(pods: readonly PodRow[]): PodGroup[] {
  const groups = new Map<string, PodGroup>()
  for (const pod of pods)
    for (const direction of directions) {
      const each = pod[direction]
      if (each === undefined) continue
      const mode = each.isAudited ? 'audit' : 'enforced'
      const policies = each.policies.join(', ')
      const group = groups.getOrInsertComputed(JSON.stringify([direction, mode, policies]), () => ({
        direction,
        mode,
        policies,
        pods: [],
        denied: new Map(),
      }))
      group.pods.push(pod.pod)
      if (each.denied !== undefined) group.denied.set(`${pod.node} ${each.class}`, each.denied)
    }
  return [...groups.values()]
}

function podsTable(pods: readonly PodRow[], width: number): string[] {
  const rows = podGroups(pods).map(({ pods: names, direction, mode, denied, policies }) => [
    String(names.length),
    direction,
    mode,
    denied.size === 0 ? '-' : String(denied.values().reduce((all, each) => all + each, 0)),
    policies,
    someOf(names),
  ])
  const free = pods.filter(({ ingress, egress }) => ingress === undefined && egress === undefined)
  const count = `${free.length} ${free.length === 1 ? 'pod' : 'pods'}`
  const rest =
    free.length === 0
      ? []
      : [
          `no policy selects ${free.length === pods.length && free.length > 1 ? 'any of ' : ''}${count}: ${someOf(free.map(({ pod }) => pod))}`,
        ]
  if (rows.length === 0) return rest
  return [table(['PODS', 'DIRECTION', 'MODE', 'DENIED', 'POLICIES', 'WHICH'], rows, { width }), ...rest]
}

function rulesTable(policies: readonly ListedPolicy[], width: number): string {
  const rows = policies.flatMap(({ policy, rules }) =>
    rules.map(({ direction, index, name, action, connections, text }) => [
      policy,
      `${direction}[${index}]${name === undefined ? '' : ` ${name}`}`,
      action,
      connections === undefined ? '-' : String(connections),
      text,
    ]),
  )
  return rows.length === 0 ? '' : table(['POLICY', 'RULE', 'ACTION', 'CONNECTIONS', 'MATCHES'], rows, { width })
}

function hanging(text: string, width: number): string[] {
  return wrapWords(text, width - 2).map((line, index) => (index === 0 ? line : `  ${line}`))
}

/** Policies that cannot be enforced as written, and those that select nothing. */
function warnings(policies: readonly ListedPolicy[], width: number): string[] {
  const faults = policies.flatMap(({ policy, faults: all }) =>
    all.map(({ field, why }) => `! ${policy}: ${field}: ${why}`),
  )
  const idle = policies.filter(({ tier, pods }) => tier !== undefined && pods === 0)
  const idleLines = idle.map(({ policy, subject }) => `! ${policy} selects no pod: ${subject}`)
  return [...faults, ...idleLines].flatMap((line) => hanging(line, width))
}

function stateLines(reports: readonly PolicyListReport[], policies: number, width: number): string[] {
  const groups = Map.groupBy(reports, ({ state: { kind, why = '' } }) => `${kind}${why === '' ? '' : `: ${why}`}`)
  const audited = new Set(reports.flatMap(({ auditedNamespaces }) => auditedNamespaces))
  const [only, ...more] = groups.keys()
  const count = `${policies} ${policies === 1 ? 'policy' : 'policies'}`
  const lines =
    only !== undefined && more.length === 0
      ? [`${count}, ${only === 'off' ? 'nothing to enforce' : only} on ${someOf(reports.map(({ node }) => node))}`]
      : [count, ...[...groups].map(([text, group]) => `! ${text} on ${someOf(group.map(({ node }) => node))}`)]
  const audit =
    audited.size === 0
      ? []
      : [`audit in ${[...audited].toSorted().join(', ')}: what is denied there is counted, and let through`]
  return [...lines, ...audit].flatMap((line) => hanging(line, width))
}

/** Undefined when the choice names a pod that is not there. */
export function renderPolicies(
  reports: readonly PolicyListReport[],
  choice: ListChoice,
  width: number,
): string | undefined {
  const all = policiesOf(reports)
  const everyPod = reports.flatMap(({ node, pods }) => pods.map((pod): PodRow => ({ ...pod, node })))
  const name =
    choice.pod === undefined
      ? undefined
      : podNamed(
          choice.pod,
          everyPod.map(({ pod }) => pod),
        )
  if (choice.pod !== undefined && name === undefined) return undefined
  const { namespace } = choice
  const pods = everyPod
    .filter(
      ({ pod }) => (name === undefined || pod === name) && (namespace === undefined || pod.startsWith(`${namespace}/`)),
    )
    .toSorted((one, other) => (one.pod < other.pod ? -1 : 1))
  const selecting = new Set(pods.flatMap((pod) => directions.flatMap((each) => pod[each]?.policies ?? [])))
  const policies = all.filter(
    ({ policy }) =>
      (name === undefined && namespace === undefined) ||
      selecting.has(policy) ||
      (namespace !== undefined && policy.startsWith(`networkpolicy/${namespace}/`)),
  )
  const isDetailed = name !== undefined || namespace !== undefined
  const told = warnings(policies, width)
  return [
    ...stateLines(reports, all.length, width),
    ...(policies.length === 0 ? [] : ['', policiesTable(policies, width)]),
    ...(isDetailed && rulesTable(policies, width) !== '' ? ['', rulesTable(policies, width)] : []),
    ...(pods.length === 0 ? [] : ['', ...podsTable(pods, width)]),
    ...(told.length === 0 ? [] : ['', ...told]),
  ].join('\n')
}
