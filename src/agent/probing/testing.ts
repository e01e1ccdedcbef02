// For tests: ways over which packets go in simulated time.
import { Addr } from '#/lib/addr.ts'
import { type Target } from './targets.ts'
import { type Refusal } from './tally.ts'
import { type Size, toleranceMs, WayState } from './way-state.ts'

/** What becomes of a probe: its round trip in ms, an error, or nothing. */
export type Fate = (size: Size, nowMs: number) => number | Refusal | 'lost'

export const podWay = (node = 'node-2'): Target => ({
  key: `${node} pod IPv4`,
  node,
  path: 'pod',
  family: 4,
  src: Addr.parse('10.244.1.1'),
  dst: Addr.parse('10.244.2.1'),
  way: 'vxlan',
  mtuBytes: 1450,
  tunnel: { src: Addr.parse('172.30.1.1'), dst: Addr.parse('172.30.1.2') },
})

export const nodeWay = (node = 'node-2'): Target => ({
  key: `${node} node IPv4`,
  node,
  path: 'node',
  family: 4,
  src: Addr.parse('172.30.1.1'),
  dst: Addr.parse('172.30.1.2'),
  way: 'direct',
  mtuBytes: 1500,
})

type Coming = { readonly atMs: number; readonly seq: number; readonly rttMs: number }

/** One way that is probed as the prober does, 10 ms of simulated time after the other. */
export class SimulatedWay {
  readonly way: WayState
  fate: Fate = () => 1
  /** When each probe went. */
  readonly sent: { readonly size: Size; readonly atMs: number }[] = []
  /** Whether something else than echo requests is answered. */
  isAlive = false
  /** Whether packets of the pods there come in. */
  isComing = false
  /** Whether a connection is answered that is tried because echo requests are lost; absent: as these. */
  connects: (nowMs: number) => boolean = (nowMs) => this.fate('small', nowMs) !== 'lost'
  /** Whether a datagram is refused that is sent because echo requests of the full size are lost; absent: as these. */
  refuses: (size: Size, nowMs: number) => boolean = (size, nowMs) => typeof this.fate(size, nowMs) === 'number'
  nowMs: number
  #seq = 0
  #coming: Coming[] = []

  constructor(target: Target = podWay(), nowMs = 0) {
    this.nowMs = nowMs
    this.way = new WayState(target, nowMs, { everyMs: 1_000 })
  }

  /** Lets so much time pass, or as much as `until` needs, which must be less; returns how much passed. */
  pass(ms: number, until: () => boolean = () => false): number {
    const sinceMs = this.nowMs
    while (this.nowMs - sinceMs < ms && !until()) {
      for (const { seq, rttMs } of this.#coming.filter(({ atMs }) => atMs <= this.nowMs))
        this.way.answered(seq, this.nowMs, rttMs)
      this.#coming = this.#coming.filter(({ atMs }) => atMs > this.nowMs)
      this.way.expire(this.nowMs)
      for (const size of ['full', 'small'] as const)
        if (this.way.dueMs(size, this.nowMs) <= this.nowMs + toleranceMs) this.#send(size)
      if (this.way.isCheckDue(this.nowMs))
        this.way.signs.noteCheck({ isAlive: this.isAlive, isComing: this.isComing }, this.nowMs)
      if (this.way.isTryDue(this.nowMs)) this.way.noteTry(this.connects(this.nowMs), this.nowMs)
      if (this.way.isSizesTryDue(this.nowMs)) {
        const [small, full] = (['small', 'full'] as const).map((size) => this.refuses(size, this.nowMs))
        this.way.others.noteSizes({ small: small!, full: full! }, this.nowMs)
      }
      this.nowMs += 10
    }
    return this.nowMs - sinceMs
  }

  #send(size: Size): void {
    const seq = this.#seq++
    this.sent.push({ size, atMs: this.nowMs })
    this.way.sent(size, seq, this.nowMs)
    const fate = this.fate(size, this.nowMs)
    if (typeof fate === 'number') this.#coming.push({ atMs: this.nowMs + fate, seq, rttMs: fate })
    else if (fate !== 'lost') this.way.refused(seq, fate, this.nowMs)
  }
}
