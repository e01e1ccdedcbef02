// The NOTIFICATIONs that the state machine itself sends; those for malformed messages come with the decoder's error.
import { CeaseSubcode, ErrorCode, FsmSubcode, notificationOf } from '#/wire/bgp/index.ts'
import { type Notification } from '#/wire/bgp/values.ts'
import { type Phase } from './state.ts'

export const holdTimerExpired = notificationOf(ErrorCode.holdTimerExpired)
export const sendHoldTimerExpired = notificationOf(ErrorCode.sendHoldTimerExpired)
export const maxPrefixesReached = notificationOf(ErrorCode.cease, CeaseSubcode.maxPrefixes)
export const collisionResolved = notificationOf(ErrorCode.cease, CeaseSubcode.collision)
export const bfdWentDown = notificationOf(ErrorCode.cease, CeaseSubcode.bfdDown)

const unexpected = {
  OpenSent: notificationOf(ErrorCode.fsm, FsmSubcode.unexpectedInOpenSent),
  OpenConfirm: notificationOf(ErrorCode.fsm, FsmSubcode.unexpectedInOpenConfirm),
  Established: notificationOf(ErrorCode.fsm, FsmSubcode.unexpectedInEstablished),
}

/** The notification for a message that is not allowed in that state. */
export function unexpectedMessage(phase: Phase): Notification {
  return unexpected[phase]
}

export function isCollision({ code, subcode }: Notification): boolean {
  return code === ErrorCode.cease && subcode === CeaseSubcode.collision
}
