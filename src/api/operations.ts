// Every operation of the agent's API. The server (src/agent/report/http-api.ts), the client (client.ts) and docs/agent-api.md are made
// from this table. The version in the paths must change when an older client could no longer understand an answer; a field may be added
// without that, since clients ignore fields that they do not know.
import { type GenericSchema, type ObjectEntries, type ObjectSchema } from 'valibot'
import { bgpAdvertisedReport, bgpPeersReport, bgpRoutesReport, resetRequest, routesRequest } from './schemas/bgp.ts'
import { datapathReport, mapReport, mapRequest, watchLine, watchRequest } from './schemas/datapath.ts'
import { factsRequest, nodeFacts } from './schemas/facts.ts'
import { ipamFindings, ipamReport, releaseReport, releaseRequest } from './schemas/ipam.ts'
import { peersProbeRequest, peersReport } from './schemas/peers.ts'
import { agentPlan } from './schemas/plan.ts'
import { podsReport, podsRequest } from './schemas/pods.ts'
import {
  policyDenialsLine,
  policyDenialsReport,
  policyListReport,
  policyWhyReport,
  policyWhyRequest,
} from './schemas/policy.ts'
import { agentStatus } from './schemas/status.ts'
import { nodeSummary } from './schemas/summary.ts'
import { tracePrediction, tracePredictRequest } from './schemas/trace-predict.ts'
import { traceEndsReport, traceEndsRequest, traceSendReport, traceSendRequest } from './schemas/trace-send.ts'
import { traceWatchLine, traceWatchRequest } from './schemas/trace.ts'
import { type ValueOf } from './value.ts'

export type ParamsSchema = ObjectSchema<ObjectEntries, undefined>

export type Operation = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  /** The parameters: behind the "?" of a GET, or in the JSON body of a POST. Absent when the operation has none. */
  readonly params?: ParamsSchema
  /** The schema of an answer with status 200, or 'text' for plain text. All other answers are plain text that says why. */
  readonly answer: 'text' | GenericSchema
  /** The answer may have hundreds of thousands of rows: it is written and sent piece by piece. */
  readonly isLong?: true
  /** The answer goes on for as long as the client reads it: lines of JSON, each as `answer` says, and empty ones that mean nothing. */
  readonly isStream?: true
  /** Which servers have the operation: an agent on its socket, an agent over TCP, a standalone speaker (`causeway bgp speak`). */
  readonly servedBy: readonly ('agent' | 'agent over TCP' | 'speaker')[]
}

export const operations = {
  status: {
    method: 'GET',
    path: '/v1/status',
    summary: 'The node, every object that the agent keeps in the kernel, and the pods it has wired.',
    answer: agentStatus,
    servedBy: ['agent'],
  },
  summary: {
    method: 'GET',
    path: '/v1/summary',
    summary:
      'The node in short, of one size however many nodes there are: for who looks at many of them again and again.',
    answer: nodeSummary,
    servedBy: ['agent'],
  },
  plan: {
    method: 'GET',
    path: '/v1/plan',
    summary: 'What the agent would change in the kernel now.',
    answer: agentPlan,
    servedBy: ['agent'],
  },
  ipam: {
    method: 'GET',
    path: '/v1/ipam',
    summary: 'Who holds which pod address, and how many are free.',
    answer: ipamReport,
    servedBy: ['agent'],
  },
  ipamCheck: {
    method: 'GET',
    path: '/v1/ipam/check',
    summary: "Compares the store of addresses with the kernel's veths and namespaces.",
    answer: ipamFindings,
    servedBy: ['agent'],
  },
  ipamRelease: {
    method: 'POST',
    path: '/v1/ipam/release',
    summary:
      'Gives an address back, together with the others of its pod. 404: no pod of this node has it; 409: the pod lives.',
    params: releaseRequest,
    answer: releaseReport,
    servedBy: ['agent'],
  },
  peers: {
    method: 'GET',
    path: '/v1/peers',
    summary: 'Whether packets arrive at other nodes and answers come back, as probes of this node show.',
    answer: peersReport,
    servedBy: ['agent'],
  },
  peersProbe: {
    method: 'POST',
    path: '/v1/peers/probe',
    summary: 'Probes other nodes at once; names that are no other node are left out. 503: too many ask.',
    params: peersProbeRequest,
    answer: peersReport,
    servedBy: ['agent'],
  },
  bgpPeers: {
    method: 'GET',
    path: '/v1/bgp/peers',
    summary: 'Every BGP neighbour and its session.',
    answer: bgpPeersReport,
    servedBy: ['agent', 'speaker'],
  },
  bgpRoutes: {
    method: 'GET',
    path: '/v1/bgp/routes',
    summary: 'Every path that was received, and why it is used or not.',
    params: routesRequest,
    answer: bgpRoutesReport,
    isLong: true,
    servedBy: ['agent', 'speaker'],
  },
  bgpAdvertised: {
    method: 'GET',
    path: '/v1/bgp/advertised',
    summary: 'What is told to whom.',
    params: routesRequest,
    answer: bgpAdvertisedReport,
    isLong: true,
    servedBy: ['agent', 'speaker'],
  },
  bgpReset: {
    method: 'POST',
    path: '/v1/bgp/reset',
    summary:
      'Asks a neighbour for its routes again, or ends its session and lets it come back. 404: no such neighbour.',
    params: resetRequest,
    answer: 'text',
    servedBy: ['agent', 'speaker'],
  },
  bgpReload: {
    method: 'POST',
    path: '/v1/bgp/reload',
    summary: 'Has a speaker read its file again. 400: the file cannot be used, and the configuration of before stays.',
    answer: 'text',
    servedBy: ['speaker'],
  },
  facts: {
    method: 'GET',
    path: '/v1/facts',
    summary:
      "What the node's kernel has at this moment, in the node's namespace and in those of its pods. 503: too many ask.",
    params: factsRequest,
    answer: nodeFacts,
    isLong: true,
    servedBy: ['agent'],
  },
  datapath: {
    method: 'GET',
    path: '/v1/datapath',
    summary: 'Which datapath the node has, and of the eBPF datapath programs, hooks, maps, counters and drops.',
    answer: datapathReport,
    servedBy: ['agent'],
  },
  datapathMap: {
    method: 'GET',
    path: '/v1/datapath/map',
    summary: 'The entries of a map of the eBPF datapath in words. 404: no such map; 409: the node has no programs.',
    params: mapRequest,
    answer: mapReport,
    isLong: true,
    servedBy: ['agent'],
  },
  datapathWatch: {
    method: 'GET',
    path: '/v1/datapath/watch',
    summary:
      'The packets from one address to another that programs see on this node, and what they did with each. 409: the node has no programs; 503: too many watch.',
    params: watchRequest,
    answer: watchLine,
    isStream: true,
    servedBy: ['agent'],
  },
  policyList: {
    method: 'GET',
    path: '/v1/policy',
    summary:
      'The network policies of the cluster, what they cannot enforce, and which of them select the pods of this node.',
    answer: policyListReport,
    servedBy: ['agent'],
  },
  policyWhy: {
    method: 'GET',
    path: '/v1/policy/why',
    summary:
      'What decides about a packet from one end to another, rule by rule, and the smallest change of that. 404: nothing has this name; 503: not everything is known yet.',
    params: policyWhyRequest,
    answer: policyWhyReport,
    servedBy: ['agent'],
  },
  policyDenials: {
    method: 'GET',
    path: '/v1/policy/denials',
    summary: 'What policies denied of late to and from the pods of this node.',
    answer: policyDenialsReport,
    servedBy: ['agent'],
  },
  policyDenialsWatch: {
    method: 'GET',
    path: '/v1/policy/denials/watch',
    summary: 'What policies deny from now on. 503: too many watch, or the kernel tells nothing.',
    answer: policyDenialsLine,
    isStream: true,
    servedBy: ['agent'],
  },
  pods: {
    method: 'GET',
    path: '/v1/pods',
    summary:
      'Pods of the cluster with a network of their own, by a part of their names. 503: the agent does not know the cluster yet.',
    params: podsRequest,
    answer: podsReport,
    servedBy: ['agent'],
  },
  traceEnds: {
    method: 'GET',
    path: '/v1/trace/ends',
    summary:
      'Who the two ends of a trace are. 404: nothing has this name; 503: the agent does not know the cluster yet.',
    params: traceEndsRequest,
    answer: traceEndsReport,
    servedBy: ['agent'],
  },
  traceSend: {
    method: 'POST',
    path: '/v1/trace/send',
    summary:
      'Sends one probe from a pod of this node, or from the node. 404: no pod of this node has the source address, nor has the node; 409: the pod has no namespace any more, or the source port is taken.',
    params: traceSendRequest,
    answer: traceSendReport,
    servedBy: ['agent'],
  },
  tracePredict: {
    method: 'GET',
    path: '/v1/trace/predict',
    summary:
      "What this node's kernel would do with a packet, step by step, and where the packet is to be seen. 404: it cannot begin where it is said to; 429: too many ask.",
    params: tracePredictRequest,
    answer: tracePrediction,
    servedBy: ['agent'],
  },
  traceWatch: {
    method: 'GET',
    path: '/v1/trace/watch',
    summary:
      "Where a probe, its answer and errors about them are seen on this node, in the node's own namespace and in those of its pods. 429: too many watch.",
    params: traceWatchRequest,
    answer: traceWatchLine,
    isStream: true,
    servedBy: ['agent'],
  },
  healthz: {
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the agent does its work. 503: it does not, and why.',
    answer: 'text',
    servedBy: ['agent', 'agent over TCP'],
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    summary: 'Whether the node is ready for pods. 503: it is not, and why.',
    answer: 'text',
    servedBy: ['agent', 'agent over TCP'],
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the text format of Prometheus (docs/metrics.md).',
    answer: 'text',
    servedBy: ['agent', 'agent over TCP'],
  },
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof operations

type ParamsSchemaOf<Name extends OperationName> = (typeof operations)[Name] extends {
  readonly params: infer Schema extends GenericSchema
}
  ? Schema
  : undefined

/** The parameters of an operation; an empty object where it has none. */
export type ParamsOf<Name extends OperationName> =
  ParamsSchemaOf<Name> extends infer Schema extends GenericSchema ? ValueOf<Schema> : { readonly [key: string]: never }

/** The body of an operation's answer with status 200. */
export type AnswerOf<Name extends OperationName> = (typeof operations)[Name]['answer'] extends infer Schema extends
  GenericSchema
  ? ValueOf<Schema>
  : string

export const operationNames = Object.keys(operations) as readonly OperationName[]

/** The operation of this name, with the type that all operations have in common. */
export function operationOf(name: OperationName): Operation {
  return operations[name]
}
