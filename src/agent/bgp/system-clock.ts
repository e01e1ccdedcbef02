// The speaker's clock in a running process.
import { type SpeakerClock } from '#/bgp/contract.ts'

export const systemClock: SpeakerClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}
