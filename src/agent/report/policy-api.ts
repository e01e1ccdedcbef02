// The operations of the agent's API that show network policy.
import { type PolicyDenialsLine } from '#/api/schemas/policy.ts'
import { type Handlers, type HttpRefusal, type LineWriter, type StreamAnswer } from './http-api.ts'
import { type DenialListener } from './policy-listener.ts'
import { policyListOf } from './policy-list.ts'
import { type PolicySources } from './policy-sources.ts'
import { policyWhyOf } from './policy-why.ts'

const mostFollowers = 16

/** Undefined when everything is known that an answer depends on. */
function notKnown(sources: PolicySources): HttpRefusal | undefined {
  const { kind, why } = sources.state()
  if (kind !== 'waiting') return undefined
  return { status: 503, body: `the agent does not know the cluster yet${why === undefined ? '' : `: ${why}`}\n` }
}

async function follow(
  { denials }: DenialListener,
  { write, isBehind, signal }: LineWriter<PolicyDenialsLine>,
): Promise<void> {
  let lost = 0
  using _following = denials.follow((denial) => {
    if (isBehind()) {
      lost++
      return
    }
    if (lost > 0) write({ kind: 'lost', lost })
    lost = 0
    write({ kind: 'denial', denial })
  })
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}

/** Why denials are not heard of; undefined: they are. */
function deafness({ untold }: PolicySources, { why }: DenialListener): string | undefined {
  const refusal = untold()
  return refusal === undefined ? why : `the kernel counts what policies deny, and does not tell of it: ${refusal}`
}

function followAnswer(sources: PolicySources, listener: DenialListener): StreamAnswer<PolicyDenialsLine> | HttpRefusal {
  const why = deafness(sources, listener)
  if (why !== undefined) return { status: 503, body: `no denial is heard of: ${why}\n` }
  if (listener.denials.followers >= mostFollowers) return { status: 503, body: 'as many as can be follow already\n' }
  return { status: 200, stream: (out) => follow(listener, out) }
}

export function policyHandlers(sources: PolicySources, listener: DenialListener): Handlers {
  return {
    policyList: async () => ({ status: 200, body: await policyListOf(sources) }),
    policyWhy: async (wish) => {
      const refusal = notKnown(sources)
      if (refusal) return refusal
      const report = await policyWhyOf(sources, wish)
      return typeof report === 'string' ? { status: 404, body: `${report}\n` } : { status: 200, body: report }
    },
    policyDenials: () => {
      const { denials, isListening, notTold } = listener
      const why = deafness(sources, listener)
      return {
        status: 200,
        body: {
          node: sources.nodeName,
          isListening,
          ...(why !== undefined && { why }),
          denials: denials.recent,
          notTold,
        },
      }
    },
    policyDenialsWatch: () => followAnswer(sources, listener),
  }
}
