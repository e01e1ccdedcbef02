// What becomes of a peer's routes when its session ends (RFC 4724 section 4.2, RFC 8538 section 4). Pure.
import { CeaseSubcode, ErrorCode } from '#/wire/bgp/index.ts'
import { type Notification } from '#/wire/bgp/values.ts'
import { type SessionEnd } from '../contract.ts'
import { type DownCause } from '../fsm/index.ts'
import { type RestartTerms } from './open.ts'

/** Whether to expect the peer back with its forwarding intact. */
export function endOf(cause: DownCause, terms: RestartTerms | undefined): SessionEnd {
  if (terms === undefined || terms.families.length === 0 || !mayBeRestarting(cause, terms)) return { kind: 'gone' }
  return { kind: 'restarting', families: terms.families }
}

function mayBeRestarting(cause: DownCause, terms: RestartTerms): boolean {
  switch (cause.kind) {
    case 'closed':
    case 'replaced':
      return true
    case 'sent':
      return terms.onNotification
    case 'received':
      return terms.onNotification && !isFarewell(cause.notification)
    case 'stopped':
    case 'bfdDown':
    case 'maxPrefixes':
      return false
  }
}

/**
 * Hard Reset, and what says as plainly that it will not be back soon: RFC 8538 section 3.1 wants these inside a Hard Reset, but
 * whoever shuts a router down wants no more traffic, whichever way its software says so.
 */
function isFarewell({ code, subcode }: Notification): boolean {
  const farewells: readonly number[] = [CeaseSubcode.hardReset, CeaseSubcode.shutdown, CeaseSubcode.deconfigured]
  return code === ErrorCode.cease && farewells.includes(subcode)
}
