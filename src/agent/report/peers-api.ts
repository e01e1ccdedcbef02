// The operations that tell what probes of other nodes show, and that probe some at once.
import { type Probing } from '../probing/probing.ts'
import { type Handlers } from './http-api.ts'

/** Each may take some seconds, and sends up to some thousand packets. */
const mostAtOnce = 2

export function peersHandlers(probing: Pick<Probing, 'report' | 'probe'>): Handlers {
  let running = 0
  return {
    peers: () => ({ status: 200, body: probing.report() }),
    peersProbe: async (wish) => {
      if (running >= mostAtOnce) return { status: 503, body: 'as many as may probe at once already do\n' }
      running++
      try {
        return { status: 200, body: await probing.probe(wish) }
      } finally {
        running--
      }
    },
  }
}
