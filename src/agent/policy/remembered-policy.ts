// Whether the cluster had any policy when that was last known, in the node's state file. An agent that starts while the API is away wires pods
// only where it had none.
import { type EndpointStore } from '../endpoints/endpoint-store.ts'
import { StateError } from '../endpoints/state-file.ts'

const settingName = 'policies'

export class RememberedPolicy {
  readonly #store: Pick<EndpointStore, 'setting' | 'setSetting'>
  /** What the file says, as far as it could be written. */
  #saved: string | undefined

  constructor(store: Pick<EndpointStore, 'setting' | 'setSetting'>) {
    this.#store = store
    this.#saved = store.setting(settingName)
  }

  /** Whether the cluster was last known to have no policy. Not when nothing is remembered. */
  get hadNone(): boolean {
    return this.#saved === 'none'
  }

  /** When the disk cannot be written, the next call tries again. */
  save(hasPolicies: boolean): void {
    const text = hasPolicies ? 'some' : 'none'
    if (text === this.#saved) return
    try {
      this.#store.setSetting(settingName, text)
      this.#saved = text
    } catch (error) {
      if (!(error instanceof StateError)) throw error
      // the store reports this problem itself (EndpointStore.trouble)
    }
  }
}
