// Which problems can be the cause of which. A cause is of a lower rank than what follows from it: what somebody made explains what is seen of
// packets, never the other way round. Pure.

/** What a problem does to packets: `ways`: it loses them; `size`: it loses large ones alone; `sessions`: routes that BGP tells are missing; `pod`: what is in a pod's namespace. */
export type Harm = 'ways' | 'size' | 'sessions' | 'api' | 'pod'

/** made: by somebody, and to be mended. state: of Causeway, by itself or from something made. seen: of packets. */
const ranks = { made: 0, state: 1, seen: 2, packet: 3 } as const
export type Rank = keyof typeof ranks

export type Nature = {
  readonly rank: Rank
  /** What it does, and so explains. */
  readonly does: readonly Harm[]
  /** What it is the sign of, and so can follow from. */
  readonly isOf: readonly Harm[]
}

const made = (...does: readonly Harm[]): Nature => ({ rank: 'made', does, isOf: [] })
const state = (isOf: readonly Harm[], ...does: readonly Harm[]): Nature => ({ rank: 'state', does, isOf })
const seen = (isOf: readonly Harm[], ...does: readonly Harm[]): Nature => ({ rank: 'seen', does, isOf })

/** Small packets do not cross either. */
const cutsOff = made('ways', 'sessions')
/** Any packet may be lost, also a large one after a small one. */
const comesAndGoes = made('ways', 'size', 'sessions')
const cutsPodOff = made('ways', 'pod')
const narrows = made('size')

/** Problems that do something to packets, or can follow from others. All others are causes that explain nothing. */
const natures: Readonly<Record<string, Nature>> = {
  CW1001: cutsOff,
  CW1002: cutsOff,
  CW1101: cutsOff,
  CW1102: cutsOff,
  CW1103: cutsOff,
  CW1104: cutsOff,
  CW1105: cutsOff,
  CW1106: cutsOff,
  CW1107: cutsOff,
  CW1108: cutsOff,
  CW1110: cutsOff,
  CW1111: cutsOff,
  CW1112: cutsOff,
  CW1113: cutsOff,
  CW1201: state(['ways', 'sessions'], 'ways'),
  CW1202: narrows,
  CW1203: cutsOff,
  CW1204: state(['sessions']),
  CW1205: state(['ways'], 'ways'),
  CW1207: narrows,
  CW1301: cutsOff,
  CW1302: cutsOff,
  CW1303: cutsOff,
  CW1304: state(['ways'], 'ways', 'sessions'),
  CW1305: cutsOff,
  CW1306: seen(['ways'], 'ways'),
  CW1307: seen(['ways'], 'ways'),
  CW2001: cutsOff,
  CW2002: cutsOff,
  CW2003: cutsOff,
  CW2004: cutsOff,
  CW2005: cutsOff,
  CW2006: cutsOff,
  CW2007: cutsOff,
  CW2008: cutsOff,
  CW2009: comesAndGoes,
  CW3104: cutsPodOff,
  CW3105: cutsPodOff,
  CW3106: cutsPodOff,
  CW3107: cutsPodOff,
  CW3111: narrows,
  CW3114: state(['pod'], 'ways'),
  CW3115: narrows,
  CW3203: cutsOff,
  CW3204: cutsOff,
  CW3205: cutsOff,
  CW3301: cutsOff,
  CW3304: comesAndGoes,
  CW4109: made('sessions'),
  CW4110: made('sessions'),
  CW6002: state(['ways', 'api']),
  CW6101: cutsOff,
  CW6102: { rank: 'packet', does: [], isOf: ['ways'] },
  CW6302: cutsOff,
  CW6501: cutsOff,
  CW6502: cutsOff,
  CW6503: cutsOff,
  CW6504: cutsOff,
  CW6505: cutsOff,
  CW7001: cutsOff,
  CW7002: cutsOff,
  CW7004: comesAndGoes,
  CW7005: cutsOff,
  CW7006: cutsOff,
  CW8101: seen(['size'], 'size'),
  CW8102: seen(['ways'], 'ways', 'size'),
  CW8103: cutsOff,
  CW8104: made('ways', 'sessions', 'api'),
  CW8105: cutsOff,
}

export function natureOf(code: string): Nature {
  return natures[code] ?? made()
}

export const rankOf = ({ rank }: Pick<Nature, 'rank'>): number => ranks[rank]

/** What a trace calls by the name of the state that it meets, agents and facts may call by that of its cause. */
const closer: Readonly<Record<string, readonly string[]>> = {
  CW1304: ['CW1108', 'CW1203', 'CW1301', 'CW1302', 'CW1303'],
  CW2002: ['CW2009'],
  CW3111: ['CW3115'],
  CW7001: ['CW7006', 'CW7004'],
}

/** Whether a problem of this code is what a trace blames with that one. */
export function isNamed(code: string, blamed: string | undefined): boolean {
  return blamed !== undefined && (code === blamed || closer[blamed]?.includes(code) === true)
}
