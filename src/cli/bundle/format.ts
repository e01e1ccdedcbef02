// A support bundle: lines of JSON, compressed. The first says what it is; each of the others is what one agent answered to one request, or why it
// did not.
import {
  array,
  check,
  exactOptional,
  literal,
  maxLength,
  maxValue,
  minValue,
  number,
  object,
  pipe,
  string,
  unknown,
} from 'valibot'
import { type OperationName } from '#/api/operations.ts'
import { type ValueOf } from '#/api/value.ts'

/** Changes when an older program could no longer read a bundle. */
export const bundleVersion = 1
export const bundleKind = 'causeway support bundle'

/** More than a cluster has. */
const mostNodes = 20_000
/** The last moment that a Date has. */
const latestMs = 8.64e15

export const headLine = object({
  kind: literal(bundleKind),
  version: number(),
  madeAtMs: pipe(number(), minValue(0), maxValue(latestMs)),
  causeway: string(),
  nodes: pipe(
    array(string()),
    maxLength(mostNodes, `are more than ${mostNodes}`),
    check((names) => new Set(names).size === names.length, 'holds a name twice'),
  ),
})

export const entryLine = object({
  node: string(),
  /** Of a later program perhaps, which asked for more. */
  operation: string(),
  /** By the clock of who asked, ms since 1970. */
  askedMs: number(),
  answeredMs: number(),
  answer: exactOptional(unknown()),
  error: exactOptional(string()),
})

export type BundleHead = ValueOf<typeof headLine>
export type BundleEntry = ValueOf<typeof entryLine>

/** What agents are asked for a bundle, in this order, with the query of each request. */
export const askedFor = [
  ['status', {}],
  ['facts', { firewalls: 'yes' }],
  ['ipam', {}],
  ['ipamCheck', {}],
  ['plan', {}],
  ['peers', {}],
  ['datapath', {}],
  ['bgpPeers', {}],
  ['policyList', {}],
  ['policyDenials', {}],
] as const satisfies readonly (readonly [OperationName, object])[]
