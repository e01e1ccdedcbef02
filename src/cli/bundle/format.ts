// A support bundle: lines of JSON, compressed. The first says what it is; each of the others is what one agent answered to one request, or why it
// did not.
import { array, exactOptional, literal, number, object, picklist, string, unknown, union } from 'valibot'
import { operationNames, type OperationName } from '#/api/operations.ts'
import { type ValueOf } from '#/api/value.ts'

/** Changes when an older program could no longer read a bundle. */
export const bundleVersion = 1
export const bundleKind = 'causeway support bundle'

export const headLine = object({
  kind: literal(bundleKind),
  version: number(),
  madeAtMs: number(),
  causeway: string(),
  nodes: array(string()),
})

const common = {
  node: string(),
  operation: picklist(operationNames),
  /** By the clock of who asked, ms since 1970. */
  askedMs: number(),
  answeredMs: number(),
}
export const entryLine = union([
  object({ ...common, answer: unknown(), version: exactOptional(string()) }),
  object({ ...common, error: string() }),
])

export type BundleHead = ValueOf<typeof headLine>
export type BundleEntry = {
  readonly node: string
  readonly operation: OperationName
  readonly askedMs: number
  readonly answeredMs: number
} & ({ readonly answer: unknown; readonly version?: string } | { readonly error: string })

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
