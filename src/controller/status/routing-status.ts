// The status of a Routing: on how many nodes packets cross as it says, and on how many pods have the datapath that it says. Pure.
import { type RoutingSpec } from '#/model/bgp-objects.ts'
import { datapathAnnotation, type DatapathName } from '#/model/datapath.ts'
import { type Condition } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing, routingAnnotation, ways } from '#/model/routing.ts'
import { fewOf } from '#/model/status-conditions.ts'
import { acceptance, conditionOf, nodesText, type Told } from './object-status.ts'
import { type StatusNode } from './status-node.ts'

const silent = 'its kubelet tells nothing'

/** Why a node does not cross as the cluster is told to; undefined when it does. */
function whyOtherRouting(mode: Routing, { isSilent, routingState }: StatusNode): string | undefined {
  if (isSilent) return silent
  if (routingState === undefined) return 'no agent has told how it sends'
  if (routingState.mode !== mode) return `still ${routingState.mode}`
  if (mode === 'auto') return undefined
  const others = ways.filter((way) => way !== mode && routingState.sends.includes(way))
  return others.length === 0 ? undefined : `it sends by ${others.join(' and ')} as well`
}

/** Why pods of a node do not have the datapath that the cluster is told to have; undefined when they do. */
function whyOtherDatapath(wanted: DatapathName, { isSilent, datapathState }: StatusNode): string | undefined {
  if (isSilent) return silent
  if (datapathState === undefined) return 'no agent has told its datapath'
  const { name, why } = datapathState
  if (name === wanted) return undefined
  return why === undefined ? `still ${name}` : `${name}: ${why}`
}

/** A field of the spec that nodes follow unless an annotation of theirs says another value. */
type Followed<T> = {
  readonly field: string
  readonly condition: string
  readonly annotation: string
  /** What each node does while the spec does not say. */
  readonly otherwise: string
  readonly own: (node: StatusNode) => T | undefined
  readonly whyNot: (wanted: T, node: StatusNode) => string | undefined
}

const followedMode: Followed<Routing> = {
  field: 'mode',
  condition: 'Applied',
  annotation: routingAnnotation,
  otherwise: 'each node crosses as its agent is set',
  own: ({ ownRouting }) => ownRouting,
  whyNot: whyOtherRouting,
}

const followedDatapath: Followed<DatapathName> = {
  field: 'datapath',
  condition: 'DatapathApplied',
  annotation: datapathAnnotation,
  otherwise: 'each node has the datapath that its agent is set to',
  own: ({ ownDatapath }) => ownDatapath,
  whyNot: whyOtherDatapath,
}

type Outcome = { readonly all: number; readonly applied: number; readonly condition: Condition }

function outcomeOf<T extends string>(
  followed: Followed<T>,
  wanted: T | undefined,
  nodes: readonly StatusNode[],
): Outcome {
  const { field, condition: type, annotation, otherwise, own, whyNot } = followed
  const followers = nodes.filter((node) => own(node) === undefined)
  const all = followers.length
  const apart = nodes.length - all
  const suffix = apart > 0 ? `; ${nodesText(apart)} with one of its own (annotation ${annotation})` : ''
  if (wanted === undefined) {
    const message = `spec.${field} is not set: ${otherwise}${suffix}`
    return { all, applied: all, condition: conditionOf(type, true, 'AsAgentsAreSet', message) }
  }
  const behind = followers.flatMap((node) => {
    const why = whyNot(wanted, node)
    return why === undefined ? [] : [`${node.name} (${why})`]
  })
  const applied = all - behind.length
  const isDone = behind.length === 0
  const message = isDone
    ? `${wanted} on ${nodesText(all)}${suffix}`
    : `${wanted} on ${applied} of ${nodesText(all)}; not on ${fewOf(behind.toSorted())}${suffix}`
  return { all, applied, condition: conditionOf(type, isDone, isDone ? 'OnAllNodes' : 'NotOnAllNodes', message) }
}

/** What the nodes make of a Routing. Nodes with an annotation of their own are left out. */
export function routingTold(
  { mode, datapath }: RoutingSpec,
  problems: readonly Problem[],
  nodes: Iterable<StatusNode>,
): Told {
  const accepted = acceptance(problems)
  if (problems.some(({ code }) => code === 'CW4001')) {
    const refused = [followedMode, followedDatapath].map(({ condition }) =>
      conditionOf(condition, false, 'NotAccepted', 'no node looks at this object'),
    )
    return { conditions: [accepted, ...refused] }
  }
  const able = [...nodes].filter(({ canHaveAgent }) => canHaveAgent)
  const ofMode = outcomeOf(followedMode, mode, able)
  const ofDatapath = outcomeOf(followedDatapath, datapath, able)
  return {
    nodes: {
      all: ofMode.all,
      applied: ofMode.applied,
      datapathAll: ofDatapath.all,
      datapathApplied: ofDatapath.applied,
    },
    conditions: [accepted, ofMode.condition, ofDatapath.condition],
  }
}
