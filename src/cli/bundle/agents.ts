// Agents that answer from a support bundle: what they answered when it was made, and what their kernels would do with a packet, which is found out
// from the facts.
import { type AgentOfNode } from '#/api/client.ts'
import { operationNames, operationOf, type OperationName } from '#/api/operations.ts'
import { readParams } from '#/api/message.ts'
import { type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { type AgentReply, type AgentRequest, type AgentTransport, NotReached } from '#/api/transport.ts'
import { endsOf } from '#/facts/ends.ts'
import { predictTold } from '#/facts/predict-told.ts'
import { type ToldNode } from '#/facts/told-node.ts'
import { messageOf } from '#/lib/log.ts'
import { answerIn, type Bundle, readBundle } from './read.ts'

/** The nodes of which enough is told for a prediction. */
function toldNodes(bundle: Bundle): ToldNode[] {
  return bundle.head.nodes.flatMap((node) => {
    const [status, facts] = [answerIn(bundle, node, 'status'), answerIn(bundle, node, 'facts')]
    return status && facts ? [{ node, status, facts }] : []
  })
}

const ok = (value: unknown, version: string): AgentReply => ({ status: 200, text: JSON.stringify(value), version })

class BundleTransport implements AgentTransport {
  readonly place: string
  readonly #bundle: Bundle
  readonly #node: string
  readonly #told: readonly ToldNode[]

  constructor(node: string, bundle: Bundle, told: readonly ToldNode[]) {
    this.place = `node ${node} of the bundle`
    this.#node = node
    this.#bundle = bundle
    this.#told = told
  }

  readonly send = async ({ method, path, body = '' }: AgentRequest): Promise<AgentReply> => {
    const { pathname, searchParams } = new URL(path, 'http://bundle')
    const name = operationNames.find(
      (each) => operationOf(each).path === pathname && operationOf(each).method === method,
    )
    if (name === undefined) throw new NotReached(`${this.place} tells nothing of ${pathname}`)
    const params = readParams(operationOf(name), searchParams, body)
    const { causeway: version } = this.#bundle.head
    if ('mismatch' in params) return { status: 400, text: params.mismatch, version }
    if (name === 'traceEnds') return this.#ends(params.value as { readonly from: string; readonly to: string })
    if (name === 'tracePredict') return this.#predict(params.value as TracePredictRequest)
    return this.#recorded(name)
  }

  readonly open: AgentTransport['open'] = async ({ path }) => {
    throw new NotReached(`${this.place}: nothing is going on there any more (${path})`)
  }

  #recorded(name: OperationName): AgentReply {
    const told = this.#bundle.answers.get(this.#node)?.get(name)
    if (told) return { status: 200, text: told.text, version: this.#bundle.head.causeway }
    throw new NotReached(this.#why(name) ?? `${this.place} does not hold ${operationOf(name).path}`)
  }

  /** Why the agent did not answer when the bundle was made. */
  #why(name: OperationName): string | undefined {
    const errors = this.#bundle.errors.get(this.#node)
    return errors?.get(name) ?? errors?.get('status')
  }

  #ends({ from, to }: { readonly from: string; readonly to: string }): AgentReply {
    const { causeway: version } = this.#bundle.head
    const found = endsOf(this.#told, this.#own().status.node, from, to)
    return typeof found === 'string' ? { status: 404, text: found, version } : ok(found, version)
  }

  async #predict(wish: TracePredictRequest): Promise<AgentReply> {
    const { causeway: version } = this.#bundle.head
    try {
      const found = await predictTold(this.#own(), this.#told, wish)
      return typeof found === 'string' ? { status: 404, text: found, version } : ok(found, version)
    } catch (error) {
      if (error instanceof NotReached) throw error
      throw new NotReached(`what the bundle tells of node ${this.#node} cannot be: ${messageOf(error)}`)
    }
  }

  #own(): ToldNode {
    const own = this.#told.find(({ node }) => node === this.#node)
    if (own) return own
    throw new NotReached(this.#why('facts') ?? `the bundle tells too little of node ${this.#node}`)
  }
}

/** The agents of a bundle that is read. */
export function agentsIn(bundle: Bundle): AgentOfNode[] {
  const told = toldNodes(bundle)
  return bundle.head.nodes.map((node) => ({ node, transport: new BundleTransport(node, bundle, told) }))
}

/** Rejects with UsageError that says what is wrong with the file. */
export async function bundleAgents(path: string): Promise<{ readonly agents: AgentOfNode[]; readonly bundle: Bundle }> {
  const bundle = await readBundle(path)
  return { agents: agentsIn(bundle), bundle }
}
