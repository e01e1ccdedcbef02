// Decides where a command looks for agents: docs/cluster-access.md has the order. Pure; what is there is given.
import { UsageError } from '../args.ts'

/** What options say. */
export type AgentChoice = {
  readonly lab?: string | undefined
  readonly node?: string | undefined
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
  readonly 'agents-namespace'?: string | undefined
}

/** What there is on this machine. */
export type Surroundings = {
  /** $KUBECONFIG; '' when it is not set. */
  readonly kubeconfig: string
  /** The labs that are up, each with the path of its kubeconfig. */
  readonly labs: readonly { readonly name: string; readonly kubeconfig: string }[]
  readonly hasAgentSocket: boolean
  /** ~/.kube/config, when it is there. */
  readonly homeKubeconfig: string | undefined
  /** Whether this is a pod with a service account. */
  readonly isPod: boolean
}

export type Source =
  /** Without kubeconfig: by the service account. */
  | { readonly kind: 'cluster'; readonly kubeconfig: string | undefined }
  | { readonly kind: 'lab'; readonly name: string }
  | { readonly kind: 'node' }

/** Where kubectl would look: $KUBECONFIG, then the file in the home directory. */
function kubectlsOwn({ kubeconfig, homeKubeconfig }: Surroundings): string | undefined {
  return kubeconfig === '' ? homeKubeconfig : kubeconfig
}

function explicit(choice: AgentChoice, around: Surroundings): Source | undefined {
  const { lab, kubeconfig, context } = choice
  const ofCluster = (['kubeconfig', 'context', 'agents-namespace'] as const).find((each) => choice[each] !== undefined)
  if (lab !== undefined) {
    if (ofCluster !== undefined)
      throw new UsageError(`--lab and --${ofCluster}: one of them; a lab has no ${ofCluster}`)
    return { kind: 'lab', name: lab }
  }
  if (kubeconfig !== undefined) return { kind: 'cluster', kubeconfig }
  if (context === undefined) return undefined
  const own = kubectlsOwn(around)
  if (own === undefined)
    throw new UsageError(`--context ${context}: there is no kubeconfig; use --kubeconfig FILE, or set KUBECONFIG`)
  return { kind: 'cluster', kubeconfig: own }
}

/**
 * The choice that leads to this source whatever is there later: another lab may come up, the kubeconfig of another cluster, and somebody may choose
 * another context. `currentContext`: that of the kubeconfig.
 */
export function fixedChoice(source: Source, choice: AgentChoice, currentContext?: string): AgentChoice {
  if (source.kind === 'lab') return { lab: source.name, node: choice.node }
  if (source.kind === 'node' || source.kubeconfig === undefined) return choice
  return { ...choice, kubeconfig: source.kubeconfig, context: choice.context ?? currentContext }
}

/** Throws UsageError when it cannot be decided. */
export function sourceOf(choice: AgentChoice, around: Surroundings): Source {
  const said = explicit(choice, around)
  if (said !== undefined) return said
  const { kubeconfig, labs, hasAgentSocket, homeKubeconfig, isPod } = around
  if (kubeconfig !== '') {
    const lab = labs.find((each) => each.kubeconfig === kubeconfig)
    return lab === undefined ? { kind: 'cluster', kubeconfig } : { kind: 'lab', name: lab.name }
  }
  const [lab, ...others] = labs
  if (others.length > 0)
    throw new UsageError(`several labs are up (${labs.map(({ name }) => name).join(', ')}): say which, with --lab`)
  if (lab !== undefined) return { kind: 'lab', name: lab.name }
  if (hasAgentSocket) return { kind: 'node' }
  if (homeKubeconfig !== undefined) return { kind: 'cluster', kubeconfig: homeKubeconfig }
  return isPod ? { kind: 'cluster', kubeconfig: undefined } : { kind: 'node' }
}
