// Which problems can be the cause of which. A cause is of a lower rank than what follows from it: what somebody made explains what is seen of
// packets, never the other way round. Pure.
import { ownValue } from '#/lib/own-value.ts'

/**
 * What a problem does. ways: it loses packets between nodes or within one; size: it loses large ones alone; sessions: routes that BGP tells are
 * missing; api: the API server is not reached; pod: something is missing in a pod's namespace; rules: a chain drops what it should not;
 * owners: nodes take addresses for those of another node than their pods are on.
 */
export type Harm = 'ways' | 'size' | 'sessions' | 'api' | 'pod' | 'rules' | 'owners'

/** made: by somebody, and to be mended. state: of Causeway, by itself or from something made. seen: of packets. packet: one that was followed. */
const ranks = { made: 0, state: 1, seen: 2, packet: 3 } as const
export type Rank = keyof typeof ranks

/** Where the packets end that it loses: at its node; there or on the wire behind it; anywhere. */
export type Place = 'here' | 'leaving' | 'anywhere'

export type Nature = {
  readonly rank: Rank
  /** What it does, and so explains. */
  readonly does: readonly Harm[]
  /** What it is the sign of, and so can follow from. */
  readonly isOf: readonly Harm[]
  readonly place: Place
}

const nature = (
  rank: Rank,
  place: Place,
  { does = [], isOf = [] }: Partial<Pick<Nature, 'does' | 'isOf'>>,
): Nature => ({ rank, place, does, isOf })

/** What Node objects say, and nodes as a whole: small packets do not cross either. */
const cutsOff = nature('made', 'anywhere', { does: ['ways', 'sessions'] })
/** Nor does the node reach the API. */
const cutsOffAll = nature('made', 'anywhere', { does: ['ways', 'sessions', 'api'] })
/** Which node has which addresses is not as pods have them. */
const changesOwners = nature('made', 'anywhere', { does: ['ways', 'sessions', 'owners'] })
/** The kernel of the node drops them, or does not know where to send them. */
const stopsHere = nature('made', 'here', { does: ['ways', 'sessions'] })
/** It sends them elsewhere, or in a way that nobody takes. */
const sendsAstray = nature('made', 'leaving', { does: ['ways', 'sessions'] })
const narrows = nature('made', 'anywhere', { does: ['size'] })
const ofPod = nature('made', 'here', { does: ['ways', 'pod'] })
/** The node does not know what the API would tell it. */
const ofApi = nature('state', 'here', { isOf: ['api'] })
const broken = nature('seen', 'anywhere', { isOf: ['ways'], does: ['ways'] })

/** Problems that do something to packets, or can follow from others. All others are causes that explain nothing. */
const natures: Readonly<Record<string, Nature>> = {
  CW1001: cutsOff,
  CW1002: cutsOff,
  CW1101: changesOwners,
  CW1102: cutsOff,
  CW1103: changesOwners,
  CW1104: cutsOff,
  CW1105: changesOwners,
  CW1106: cutsOff,
  CW1107: changesOwners,
  CW1108: cutsOff,
  CW1110: changesOwners,
  CW1111: cutsOff,
  CW1112: cutsOff,
  CW1113: cutsOff,
  // what has no route of the network's goes by that to all other addresses
  CW1201: nature('state', 'leaving', { isOf: ['ways', 'sessions'], does: ['ways'] }),
  CW1202: narrows,
  CW1203: stopsHere,
  CW1204: nature('state', 'anywhere', { isOf: ['sessions'] }),
  CW1205: nature('state', 'here', { isOf: ['ways', 'sessions'], does: ['ways'] }),
  CW1207: narrows,
  CW1301: sendsAstray,
  CW1302: sendsAstray,
  CW1303: stopsHere,
  CW1304: nature('state', 'here', { isOf: ['ways'], does: ['ways', 'sessions'] }),
  CW1305: stopsHere,
  CW1306: broken,
  CW1307: broken,
  CW2001: sendsAstray,
  CW2002: stopsHere,
  CW2003: stopsHere,
  CW2004: sendsAstray,
  CW2005: sendsAstray,
  CW2006: stopsHere,
  CW2007: stopsHere,
  CW2008: sendsAstray,
  CW2009: stopsHere,
  CW3104: ofPod,
  CW3105: ofPod,
  CW3106: ofPod,
  CW3107: ofPod,
  CW3111: narrows,
  CW3114: nature('state', 'here', { isOf: ['pod'], does: ['ways', 'size'] }),
  CW3115: narrows,
  CW3203: stopsHere,
  CW3204: sendsAstray,
  CW3205: sendsAstray,
  CW3232: nature('state', 'here', { isOf: ['owners'] }),
  // what is held back passes nothing
  CW3301: nature('state', 'here', { isOf: ['api'], does: ['ways'] }),
  CW3302: ofApi,
  CW3304: nature('made', 'here', { does: ['ways', 'size', 'sessions'] }),
  CW3307: ofApi,
  CW4109: nature('made', 'anywhere', { does: ['sessions'] }),
  CW4110: nature('made', 'anywhere', { does: ['sessions'] }),
  // routers forget what an agent has told them once its sessions end
  CW6001: nature('made', 'anywhere', { does: ['sessions'] }),
  CW6002: nature('state', 'anywhere', { isOf: ['ways', 'api'] }),
  CW6003: cutsOffAll,
  CW6101: stopsHere,
  CW6102: nature('packet', 'anywhere', { isOf: ['ways'] }),
  CW6302: cutsOff,
  CW6501: sendsAstray,
  CW6502: sendsAstray,
  CW6503: sendsAstray,
  CW6504: sendsAstray,
  CW6505: stopsHere,
  CW7001: nature('made', 'here', { does: ['ways', 'sessions'], isOf: ['rules'] }),
  CW7002: stopsHere,
  CW7004: nature('made', 'here', { does: ['ways', 'size'], isOf: ['rules'] }),
  // its packets are dropped by whom they come to under a strange address
  CW7005: cutsOff,
  CW7006: nature('made', 'here', { does: ['ways'], isOf: ['rules'] }),
  CW8101: nature('seen', 'anywhere', { isOf: ['size'], does: ['size'] }),
  CW8102: nature('state', 'anywhere', { isOf: ['ways'], does: ['ways', 'size'] }),
  CW8103: cutsOffAll,
  CW8104: cutsOffAll,
  CW8105: sendsAstray,
  CW8107: nature('made', 'here', { does: ['ways', 'size', 'sessions', 'api'] }),
}

const explainsNothing = nature('made', 'anywhere', {})

export function natureOf(code: string): Nature {
  return ownValue(natures, code) ?? explainsNothing
}

export const rankOf = (rank: Rank): number => ranks[rank]

type Closer = { readonly code: string; readonly object?: RegExp }
const closerBy = (...codes: readonly string[]): Closer[] => codes.map((code) => ({ code }))

/** The sysctls by which a node forwards; that of a device follows those of all. */
const ofForwarding = /^sysctl\/net\/ipv[46]\/.*forward/

/** What a trace calls by the name of the state that it meets, agents and facts may call by that of its cause. */
const closer: Readonly<Record<string, readonly Closer[]>> = {
  CW1304: closerBy('CW1108', 'CW1203', 'CW1301', 'CW1302', 'CW1303'),
  CW1305: [
    { code: 'CW2009', object: ofForwarding },
    { code: 'CW2002', object: ofForwarding },
  ],
  CW2002: [{ code: 'CW2009', object: /^sysctl\// }],
  CW3111: closerBy('CW3115'),
  CW7001: closerBy('CW7006', 'CW7004'),
  CW7006: closerBy('CW7004'),
}

/** Whether a problem of this code and object is what a trace blames with that code. */
export function isNamed({ code, object }: { code: string; object: string }, blamed: string | undefined): boolean {
  if (blamed === undefined || code === blamed) return code === blamed
  return ownValue(closer, blamed)?.some((each) => each.code === code && (each.object?.test(object) ?? true)) === true
}
