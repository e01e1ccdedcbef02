// SIGINT and SIGTERM, taken from the first moment of the process: main.ts imports this before all else. Process 1 of a container
// needs that: to it the kernel delivers no signal that it has no handler for.
import { constants } from 'node:os'

type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'
const stopSignals: readonly StopSignal[] = ['SIGINT', 'SIGTERM']

/** The exit status that a shell shows for a process which a signal ended. */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** Ends the process as the signal would any program, since nothing has begun that must be ended in order. */
function end(signal: StopSignal): void {
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  // process 1 gets here, because the kernel does not let the signal end it
  process.exit(statusOfSignal(signal))
}

let act: (signal: StopSignal) => void = end
for (const signal of stopSignals) process.on(signal, () => act(signal))

/**
 * Resolves at the first request to end. Call it before anything is begun that has to be ended in order; a second signal
 * ends the process at once. It does not keep a process that has nothing more to do: `until` does. `isHangupOne`: that the terminal is closed is a
 * request too, of a command which somebody waits for; to daemons SIGHUP means other things.
 */
export async function stopRequested({ isHangupOne = false } = {}): Promise<StopSignal> {
  if (isHangupOne) process.on('SIGHUP', () => act('SIGHUP'))
  const { promise, resolve } = Promise.withResolvers<StopSignal>()
  act = (signal) => {
    act = end
    resolve(signal)
  }
  return promise
}

/** Keeps the process until it is asked to end. */
export async function until(stop: Promise<StopSignal>): Promise<StopSignal> {
  const alive = setInterval(() => {}, 1 << 30)
  return stop.finally(() => clearInterval(alive))
}
