// What a command is. The table of all of them is in main.ts.

export type Command = {
  readonly name: string
  readonly summary: string
  /** The text of `causeway help NAME`, beginning with a usage line. */
  readonly help: string
  /** Returns the exit status: 0 is yes, 1 is no. Throws for what went wrong. */
  readonly run: (args: readonly string[]) => Promise<number>
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2))
}

/** Resolves when the process is asked to end. */
export async function stopRequested(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal))
  // a signal handler alone does not keep the process
  const alive = setInterval(() => {}, 1 << 30)
  return promise.finally(() => clearInterval(alive))
}
