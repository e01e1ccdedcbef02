// The state machine of a BGP peer: RFC 4271 section 8.
export { isCollision } from './notices.ts'
export { FsmRunner } from './runner.ts'
export { type DownCause, type FsmAction, type FsmSettings, nameOf, type Phase } from './state.ts'
