// How many of many nodes have answered: a line on a terminal, which is gone when all have.
import { type AgentOfNode } from '#/api/client.ts'

/** Answers that come sooner need no line. */
const patienceMs = 400
const everyMs = 100

type Screen = { readonly isTTY?: boolean; readonly write: (text: string) => unknown }

/** Shows nothing. */
export const noScreen: Screen = { write: () => {} }

export class Progress implements Disposable {
  readonly #screen: Screen
  readonly #total: number
  readonly #timer: NodeJS.Timeout | undefined
  readonly #startedMs = performance.now()
  /** The nodes that are asked now, in the order in which they were. */
  readonly #asked = new Set<string>()
  #done = 0
  #isShown = false

  constructor(total: number, screen: Screen = process.stderr) {
    this.#screen = screen
    this.#total = total
    if (screen.isTTY === true) this.#timer = setInterval(() => this.#show(), everyMs)
  }

  /** The same agents; what they are asked is counted. */
  counting(agents: readonly AgentOfNode[]): AgentOfNode[] {
    return agents.map((agent) => {
      const { node, transport } = agent
      const send: typeof transport.send = async (request, signal) =>
        this.during(node, async () => transport.send(request, signal))
      return { ...agent, transport: { ...transport, send } }
    })
  }

  /** Counts the node when what is asked of it is done. */
  async during<T>(node: string, ask: () => Promise<T>): Promise<T> {
    this.#asked.add(node)
    try {
      return await ask()
    } finally {
      this.#asked.delete(node)
      this.#done++
    }
  }

  #show(): void {
    if (performance.now() - this.#startedMs < patienceMs) return
    this.#isShown = true
    const [first] = this.#asked
    const wait = first === undefined ? '' : `, waiting for ${first}`
    const more = this.#asked.size > 1 ? ` and ${this.#asked.size - 1} more` : ''
    this.#screen.write(`\r\u001b[K${this.#done} of ${this.#total} nodes have answered${wait}${more}`)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    if (this.#isShown) this.#screen.write('\r\u001b[K')
  }
}
