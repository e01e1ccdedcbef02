// A state machine at work: keeps its state and has its actions done one after the other, also when doing one of them causes another
// event. `M` is what comes with an event for its actions, a message.
import { step } from './machine.ts'
import { type FsmAction, type FsmEvent, type FsmSettings, type FsmState, initialState, nameOf } from './state.ts'

type Deps<M> = {
  readonly settings: () => FsmSettings
  readonly perform: (action: FsmAction, message: M | undefined) => void
  /** Everything that belongs to an event is done. */
  readonly onDone: (before: ReturnType<typeof nameOf>, after: ReturnType<typeof nameOf>) => void
}

export class FsmRunner<M> {
  readonly #deps: Deps<M>
  readonly #events: { readonly event: FsmEvent; readonly message: M | undefined }[] = []
  #state: FsmState = initialState
  #isBusy = false

  constructor(deps: Deps<M>) {
    this.#deps = deps
  }

  get state(): FsmState {
    return this.#state
  }

  /** Events that come up while another is handled wait for it. */
  handle(event: FsmEvent, message?: M): void {
    this.#events.push({ event, message })
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift())
        this.#advance(next.event, next.message)
    } finally {
      this.#isBusy = false
    }
  }

  #advance(event: FsmEvent, message: M | undefined): void {
    const { settings, perform, onDone } = this.#deps
    const before = nameOf(this.#state)
    const { state, actions } = step(settings(), this.#state, event)
    this.#state = state
    for (const action of actions) perform(action, message)
    onDone(before, nameOf(state))
  }
}
