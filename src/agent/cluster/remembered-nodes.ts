// What this agent last knew of the nodes, in the node's state file: an agent that starts while the API is away makes the ways to them that
// are missing, after a reboot all of them. What is remembered only adds: until the API has told all nodes, nothing is deleted.
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { type EndpointStore } from '../endpoints/endpoint-store.ts'
import { StateError } from '../endpoints/state-file.ts'

const start = 'node '

function prefixesOf(texts: unknown): Prefix[] {
  return (texts as string[]).map(Prefix.parse)
}

/** Reads a node's state from the JSON that `JSON.stringify` makes of it. Throws when it is none. */
export function nodeStateFrom(text: string): NodeState {
  const saved = JSON.parse(text) as Record<string, unknown> & NodeState
  if (typeof saved.name !== 'string') throw new TypeError('no name')
  return {
    // in the order of before, so that an unchanged node has the same text
    ...saved,
    podCIDRs: prefixesOf(saved.podCIDRs),
    addrs: (saved.addrs as readonly unknown[]).map((each) => Addr.parse(String(each))),
    ...(saved.extraCIDRs && { extraCIDRs: prefixesOf(saved.extraCIDRs) }),
    ...(saved.formerCIDRs && { formerCIDRs: prefixesOf(saved.formerCIDRs) }),
  }
}

export class RememberedNodes {
  readonly #store: Pick<EndpointStore, 'settingsFrom' | 'setSettings'>
  /** Nodes that may be other than in the file. */
  readonly #due = new Set<string>()

  constructor(store: Pick<EndpointStore, 'settingsFrom' | 'setSettings'>) {
    this.#store = store
  }

  /** The other nodes as they were last known. A damaged entry is left out: the API has that node too. */
  read(ownName: string): NodeState[] {
    return [...this.#store.settingsFrom(start)].flatMap(([name, text]) => {
      try {
        const state = nodeStateFrom(text)
        return start + state.name === name && state.name !== ownName ? [state] : []
      } catch {
        return []
      }
    })
  }

  /** The names of the nodes in the file. */
  names(): string[] {
    return [...this.#store.settingsFrom(start)].map(([name]) => name.slice(start.length))
  }

  /** What is in the file may be of long ago: it is to be written anew. */
  distrust(): void {
    for (const name of this.names()) this.note(name)
  }

  /** Takes note that a node has changed or is gone. */
  note(name: string): void {
    this.#due.add(name)
  }

  /**
   * Writes what has changed since the last call, in one transaction; an entry that is right already is not written. When the disk cannot be
   * written, the next call tries again.
   */
  save(stateOf: (name: string) => NodeState | undefined): void {
    if (this.#due.size === 0) return
    try {
      this.#store.setSettings(
        [...this.#due].map((name) => {
          const state = stateOf(name)
          return [start + name, state && JSON.stringify(state)]
        }),
      )
      this.#due.clear()
    } catch (error) {
      if (!(error instanceof StateError)) throw error
      // the store reports this problem itself (EndpointStore.trouble)
    }
  }
}
