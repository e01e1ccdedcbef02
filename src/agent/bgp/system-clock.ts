// The speaker's clock in a running process.
import { type Clock } from '#/bgp/contract.ts'

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}
