// The datapaths of pods by name: what an endpoint's row says of the datapath that wired it, which one a node is told to use, and which one
// it uses (docs/datapath.md).
import { annotationsOf, fieldsOf, type KubeNode } from './kubernetes.ts'
import { type Problem, problem } from './problems.ts'

/** The first is the default. What each of them does is in a folder of its own in src/datapath. */
export const datapathNames = ['bridge', 'ebpf'] as const
export type DatapathName = (typeof datapathNames)[number]

/** The annotation with one node's datapath, which takes precedence over the cluster's. */
export const datapathAnnotation = 'causeway.dev/datapath'
/** The annotation with a node's DatapathState as JSON. */
export const datapathStateAnnotation = 'causeway.dev/datapath-state'

/** The datapath that the pods of a node have. */
export type DatapathState = {
  readonly name: DatapathName
  /** Why it is not the one that is wanted, in one line; absent when it is. */
  readonly why?: string
}

/** The state of a node that tells none. */
export const plainBridge: DatapathState = { name: datapathNames[0] }

/** How many characters of a malformed value a problem shows. */
const toldLength = 80

export function isDatapathName(text: unknown): text is DatapathName {
  return (datapathNames as readonly unknown[]).includes(text)
}

/** Reads the annotation `causeway.dev/datapath`; a malformed one counts as absent and is reported in `problem`. */
export function datapathOf(node: KubeNode): { readonly datapath?: DatapathName; readonly problem?: Problem } {
  const text = annotationsOf(node)[datapathAnnotation]
  if (text === undefined) return {}
  if (isDatapathName(text)) return { datapath: text }
  const message = `annotation ${datapathAnnotation}: "${text.slice(0, toldLength)}" is none of ${datapathNames.join(', ')}`
  return { problem: problem('CW1006', `node/${node.metadata.name}`, message) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads the annotation `causeway.dev/datapath-state`. Undefined without one, and for one that a later version has written. */
export function datapathStateOf(node: KubeNode): DatapathState | undefined {
  const { name, why } = fieldsOf(parse(annotationsOf(node)[datapathStateAnnotation] ?? ''))
  if (!isDatapathName(name)) return undefined
  return { name, ...(typeof why === 'string' && { why }) }
}

/** The text of the annotation; equal states have equal texts. */
export function datapathStateText({ name, why }: DatapathState): string {
  return JSON.stringify({ name, why })
}
