// The generation of programs that is pinned. It is loaded before a pass plans with it (state.ts); this driver says that it is there, and
// removes others once nothing runs them any more.
import { type Netlink } from '#/kernel/netlink.ts'
import { listLinks } from '#/kernel/links.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, type Comparison, type Driver } from '#/reconcile/driver.ts'
import { Generation, generationsIn, programIdsOf, removeFolder, removeGeneration } from './generation.ts'
import { type EbpfState } from './state.ts'

export class ProgramDriver implements Driver {
  readonly kind = 'program'
  readonly #netlink: Netlink
  readonly #state: EbpfState

  constructor(netlink: Netlink, state: EbpfState) {
    this.#netlink = netlink
    this.#state = state
  }

  compare({ bpf }: DesiredNetwork): Comparison {
    const { current, folder } = this.#state
    const wanted = bpf && current
    const pinned = generationsIn(folder)
    const others = pinned.filter((name) => name !== wanted?.name)
    return {
      keys: wanted ? [wanted.name] : [],
      changes: wanted && !pinned.includes(wanted.name) ? [this.#pinning(wanted)] : [],
      leftovers: others.map((name) => this.#removal(name)),
      failures: new Map(),
    }
  }

  /** Somebody removed the pins; what is attached is still at work. */
  #pinning(generation: Generation): Change {
    const { folder } = this.#state
    return {
      verb: 'add',
      key: generation.name,
      commands: [`# pin maps and programs in ${folder}/${generation.name}`],
      work: { call: () => generation.pin(folder) },
    }
  }

  #removal(name: string): Change {
    const { folder } = this.#state
    return {
      verb: 'delete',
      key: name,
      commands: [`rm -r ${folder}/${name}`],
      work: { call: () => this.#remove(name) },
    }
  }

  #remove(name: string): void {
    const { folder, hooks, current } = this.#state
    const programs = programIdsOf(folder, name)
    const found = hooks.find(this.#netlink, listLinks(this.#netlink))
    const user = found.find(({ programId }) => programId !== undefined && programs.has(programId))
    if (user !== undefined) throw new Error(`its programs are still attached to ${user.device}`)
    if (current?.name === name) this.#state.forget()
    removeGeneration(folder, name)
    if (generationsIn(folder).length === 0) removeFolder(folder)
  }
}
