// The state machine of a BGP peer: RFC 4271 section 8.
export { openHoldSeconds, step } from './machine.ts'
export {
  type Agreed,
  type DownCause,
  type FsmAction,
  type FsmEvent,
  type FsmSettings,
  type FsmState,
  initialState,
  nameOf,
  type Phase,
} from './state.ts'
