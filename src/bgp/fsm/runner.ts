// Runs a state machine: keeps its state and executes its actions one after the other, also when an action causes another event.
import { step } from './machine.ts'
import { type FsmAction, type FsmEvent, type FsmSettings, type FsmState, initialState, nameOf } from './state.ts'

type Deps = {
  readonly settings: () => FsmSettings
  readonly perform: (action: FsmAction) => void
  /** Called when all actions of an event are done. */
  readonly onDone: (before: ReturnType<typeof nameOf>, after: ReturnType<typeof nameOf>) => void
}

export class FsmRunner {
  readonly #deps: Deps
  readonly #events: FsmEvent[] = []
  #state: FsmState = initialState
  #isBusy = false

  constructor(deps: Deps) {
    this.#deps = deps
  }

  get state(): FsmState {
    return this.#state
  }

  /** Handles an event. Events that arise meanwhile wait for it. When an action throws, so does this, and the waiting events are dropped. */
  handle(event: FsmEvent): void {
    this.#events.push(event)
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#advance(next)
    } finally {
      this.#events.length = 0
      this.#isBusy = false
    }
  }

  /** Goes back to the initial state without actions, for a machine whose actions throw. */
  reset(): void {
    this.#state = initialState
  }

  #advance(event: FsmEvent): void {
    const { settings, perform, onDone } = this.#deps
    const before = nameOf(this.#state)
    const { state, actions } = step(settings(), this.#state, event)
    this.#state = state
    for (const action of actions) perform(action)
    onDone(before, nameOf(state))
  }
}
