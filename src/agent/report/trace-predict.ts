// The operation that tells what this node's kernel would do with a packet.
import { type PredictDeps } from '#/predict/context.ts'
import { predict } from '#/predict/predict.ts'
import { beginningOf, packetOf } from '#/predict/request.ts'
import { type Handlers, type HttpRefusal } from './http-api.ts'

/** Each may take some seconds in which it asks the kernel again and again. */
const mostAtOnce = 4
export function tracePredictHandlers(deps: PredictDeps): Handlers {
  let running = 0
  const refuse = (status: 400 | 404 | 429, why: string): HttpRefusal => ({ status, body: `${why}\n` })
  return {
    tracePredict: async (wish) => {
      const packet = packetOf(wish)
      if (typeof packet === 'string') return refuse(400, packet)
      const beginning = beginningOf(deps, packet, wish)
      if (typeof beginning === 'string') return refuse(404, beginning)
      if (running >= mostAtOnce) return refuse(429, 'as many as can be predicted at once already are')
      running++
      try {
        return { status: 200, body: await predict(deps, packet, beginning) }
      } finally {
        running--
      }
    },
  }
}
