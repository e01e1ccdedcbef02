// Words for states, times and amounts. Pure.
import { type NodeRow, type NodeState, type ProbedPair } from '#/ui/contract.ts'

/** What a sign and a colour say; none: nothing is known, or nothing is to be said. */
export type Tone = 'good' | 'bad' | 'unknown' | 'none'

export const nodeTones: Readonly<Record<NodeState, Tone>> = {
  ready: 'good',
  'ready with problems': 'unknown',
  'not ready': 'bad',
  silent: 'bad',
  unknown: 'none',
}

export const nodeWords: Readonly<Record<NodeState, string>> = {
  ready: 'ready',
  'ready with problems': 'ready, with problems',
  'not ready': 'not ready',
  silent: 'does not answer',
  unknown: 'not asked yet',
}

type PairState = ProbedPair['state']

export const pairTones: Readonly<Record<PairState, Tone>> = {
  ok: 'good',
  lossy: 'unknown',
  'small only': 'bad',
  'one way': 'bad',
  broken: 'bad',
  unknown: 'none',
}

export const pairWords: Readonly<Record<PairState, string>> = {
  ok: 'packets arrive',
  lossy: 'some packets are lost',
  'small only': 'large packets are lost',
  'one way': 'answers do not come back',
  broken: 'no packet arrives',
  unknown: 'not enough was sent yet',
}

function toneOf({ state, pairs }: NodeRow): Tone {
  const own = nodeTones[state]
  if (own === 'bad') return own
  let worst = own
  for (const pair of pairs) {
    const tone = pairTones[pair.state]
    if (tone === 'bad') return 'bad'
    if (tone === 'unknown') worst = tone
  }
  return worst
}

const tones = new WeakMap<NodeRow, Tone>()

/** A node that is ready and does not reach another one is not well. Rows never change: each is looked at once. */
export function nodeTone(row: NodeRow): Tone {
  const known = tones.get(row)
  if (known !== undefined) return known
  const tone = toneOf(row)
  tones.set(row, tone)
  return tone
}

/** What nodes that belong together are called: rows tell of zones where they know of no racks. */
export function placeWord(rows: Iterable<NodeRow>): 'rack' | 'zone' {
  for (const { rack, zone } of rows) if (rack !== undefined && rack !== zone) return 'rack'
  return 'zone'
}

/** Worst first. */
const pairOrder: readonly PairState[] = ['broken', 'one way', 'small only', 'lossy', 'unknown', 'ok']

export const worseOf = (a: PairState, b: PairState): PairState => (pairOrder.indexOf(a) <= pairOrder.indexOf(b) ? a : b)

export const wayWords = {
  vxlan: 'VXLAN tunnel',
  native: 'native route',
  direct: 'nodes only',
  none: 'no way',
} as const

export const datapathWords: Readonly<Record<string, string>> = { bridge: 'bridge', ebpf: 'eBPF' }

export const plural = (count: number, noun: string, many = `${noun}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? noun : many}`

/** How many nodes take pods. */
export function readyText(rows: readonly Pick<NodeRow, 'state'>[]): string {
  const count = (wanted: NodeState): number => rows.filter(({ state }) => state === wanted).length
  const [ready, withProblems] = [count('ready'), count('ready with problems')]
  const all = ready + withProblems
  return [
    plural(rows.length, 'node'),
    all === rows.length ? 'ready' : `${all} of ${rows.length} ready`,
    withProblems > 0 ? `${withProblems} with problems` : '',
  ]
    .filter(Boolean)
    .join(', ')
}

/** In the largest unit that still says something. */
export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}

export const rttText = (ms: number): string => `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`

export const percentText = (share: number): string => `${share > 0 && share < 0.01 ? '<1' : Math.round(share * 100)} %`

export const clockText = (ms: number): string => {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? '' : `${date.toISOString().slice(11, 19)} UTC`
}

/** As at the beginning of a sentence; a name stays as it is: node-1, eth0, /proc. */
export const capital = (text: string): string =>
  /^[a-z]+([ ,]|$)/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text

/** The ways of a node's packets to pods of others, in words: "VXLAN to 4 pod CIDRs". */
export function crossingsText({ crossings }: Pick<NodeRow, 'crossings'>): string {
  if (crossings === undefined) return ''
  const { vxlan, native, none } = crossings
  const parts = [
    vxlan > 0 ? `VXLAN to ${vxlan}` : '',
    native > 0 ? `native to ${native}` : '',
    none > 0 ? `no way to ${none}` : '',
  ].filter(Boolean)
  return parts.join(', ')
}
