// Finds the nodes to which packets go and from which nothing comes: a port that is dropped on the way, a forgotten program at a device.
// Every kernel object is as planned then, and only counters and echo requests show it. Senders of UDP that want no answer exist, so a
// node counts as silent only when it answers no echo request either. Pure.
import { type Addr, families, type Family } from '#/lib/addr.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { someOf } from '#/lib/some-of.ts'

/** The packets between this node and another in one tunnel, or those to one pod CIDR without a tunnel. */
export type Flow = {
  readonly key: string
  readonly node: string
  /** The family of the underlay in a tunnel, else that of the pod CIDR. */
  readonly family: Family
  readonly way: 'vxlan' | 'native'
  /** The other node's gateway. */
  readonly gateway: Addr
  /** What is counted of a tunnel since the table was made. */
  readonly packets?: { readonly sent: number; readonly received: number }
}

/** So many packets must have gone in a tunnel before anything is suspected. */
const suspiciousPackets = 10
/**
 * So many echo requests in a row must stay without an answer: a minute, by which time Kubernetes says of a node that died that it is not
 * Ready, and it is not looked at any more (--node-monitor-grace-period is 40 s, later 50 s).
 */
const unansweredAsks = 4
/** How many native flows are asked in one round, beside those that did not answer the last time. */
const nativeAsks = 64
/** When that many nodes are silent, they make one problem. */
const manyNodes = 4
/** A flow on which something came this recently is one that works. */
const heardMs = 120_000
/** How many of the nodes to which nothing goes are asked in one round, once several others do not answer: one that answers clears this node. */
const witnessAsks = 8

type State = {
  sent: number
  received: number
  /** What was sent until something was heard the last time. */
  sentWhenHeard: number
  /** Echo requests in a row without an answer. */
  unanswered: number
  heardAtMs: number | undefined
  /** When the last look was before the first of the unheard packets went. */
  sinceMs: number
}

export class PeerSilence {
  readonly #states = new Map<string, State>()
  #flows: readonly Flow[] = []
  #turn = 0
  /** When flows were observed last. */
  #observedMs = 0

  /** Takes in the flows of nodes that live, with what is counted now; returns those whose gateways are to be asked. */
  observe(flows: readonly Flow[], nowMs: number): Flow[] {
    this.#flows = flows
    const keys = new Set(flows.map(({ key }) => key))
    for (const key of this.#states.keys()) if (!keys.has(key)) this.#states.delete(key)
    const suspects: Flow[] = []
    const native: Flow[] = []
    for (const flow of flows) {
      const state = this.#count(flow, nowMs)
      // without a tunnel nothing is counted, so all are asked in turn, and those again that have stopped answering
      const isInTurn = flow.way === 'native' && (state.unanswered === 0 || state.heardAtMs === undefined)
      if (isInTurn) native.push(flow)
      else if (flow.way === 'native' || unheardOf(state) >= suspiciousPackets) suspects.push(flow)
    }
    const start = native.length === 0 ? 0 : this.#turn % native.length
    this.#turn += nativeAsks
    this.#observedMs = nowMs
    const inTurn = [...native.slice(start), ...native.slice(0, start)].slice(0, nativeAsks)
    return [...suspects, ...inTurn, ...this.#witnesses(suspects)]
  }

  /** Nodes that nothing was sent to, and that say by an answer that it is not this node which is cut off. */
  #witnesses(suspects: readonly Flow[]): Flow[] {
    const isDoubtful = ({ key }: Flow): boolean => this.#states.get(key)!.unanswered > 0
    return families.flatMap((family) => {
      const doubtful = suspects.filter((flow) => flow.family === family && isDoubtful(flow))
      if (new Set(doubtful.map(({ node }) => node)).size < 2) return []
      const asked = new Set(suspects)
      const idle = this.#flows.filter((flow) => flow.family === family && flow.way === 'vxlan' && !asked.has(flow))
      const start = idle.length === 0 ? 0 : this.#turn % idle.length
      return [...idle.slice(start), ...idle.slice(0, start)].slice(0, witnessAsks)
    })
  }

  #count({ key, packets }: Flow, nowMs: number): State {
    const { sent = 0, received = 0 } = packets ?? {}
    const state = this.#states.get(key)
    if (state === undefined) {
      const fresh = { sent, received, sentWhenHeard: sent, unanswered: 0, heardAtMs: undefined, sinceMs: nowMs }
      this.#states.set(key, fresh)
      return fresh
    }
    const wasHeard = unheardOf(state) === 0
    state.sent = sent
    // counters that went back belong to a table that was made anew
    state.sentWhenHeard = Math.min(state.sentWhenHeard, sent)
    if (received > state.received) hear(state, nowMs)
    if (wasHeard && unheardOf(state) > 0) state.sinceMs = this.#observedMs
    state.received = received
    return state
  }

  /** Takes in which of the asked flows' gateways answered. */
  conclude(asked: readonly Flow[], answered: ReadonlySet<string>, nowMs: number): void {
    for (const { key, way, gateway } of asked) {
      const state = this.#states.get(key)
      if (state === undefined) continue
      if (answered.has(String(gateway))) hear(state, nowMs)
      else if (way === 'native' || unheardOf(state) >= suspiciousPackets) state.unanswered++
    }
  }

  /** The nodes that have not answered lately although packets go there; of those that never answered, only where packets are counted. */
  get suspects(): string[] {
    const doubtful = this.#flows.filter(({ key, way }) => {
      const state = this.#states.get(key)
      return state !== undefined && state.unanswered > 0 && (way === 'vxlan' || state.heardAtMs !== undefined)
    })
    return [...new Set(doubtful.map(({ node }) => node))]
  }

  get #silent(): Flow[] {
    return this.#flows.filter(({ key, way }) => {
      const state = this.#states.get(key)
      // without a tunnel, one that never answered may be told not to, by a firewall
      return (
        state !== undefined && state.unanswered >= unansweredAsks && (way === 'vxlan' || state.heardAtMs !== undefined)
      )
    })
  }

  /** One problem for each silent node, or one for all when there are many. */
  problems(ownName: string, nowMs: number): Problem[] {
    const byNode = Map.groupBy(this.#silent, ({ node }) => node)
    if (byNode.size < manyNodes)
      return [...byNode].map(([node, flows]) =>
        problem('CW1306', `node/${node}`, flows.map((flow) => this.#textOf(flow, nowMs)).join('; ')),
      )
    const message = `packets go to ${byNode.size} nodes, nothing comes from them, and their gateways answer no echo request: ${someOf([...byNode.keys()])}`
    return [problem('CW1307', `node/${ownName}`, message)]
  }

  #textOf({ key, node, family, way, gateway }: Flow, nowMs: number): string {
    const state = this.#states.get(key)!
    const { heardAtMs, sinceMs } = state
    const seconds = Math.round((nowMs - (way === 'native' && heardAtMs !== undefined ? heardAtMs : sinceMs)) / 1000)
    const asked = `gateway ${gateway} answers no echo request`
    return way === 'vxlan'
      ? `${unheardOf(state)} packets of the tunnel over IPv${family} went to ${node} in ${seconds} s, none came from it, and its ${asked}`
      : `${node} answered ${seconds} s ago and does not any more: its ${asked}`
  }

  /**
   * Why this node itself seems to be cut off: in one family several nodes are silent, and nothing came from any other for a while.
   * Undefined otherwise. A single silent node may be at fault itself.
   */
  isolation(nowMs: number): string | undefined {
    const silent = Map.groupBy(this.#silent, ({ family }) => family)
    for (const [family, flows] of silent) {
      const names = [...new Set(flows.map(({ node }) => node))]
      if (names.length < 2) continue
      const isOtherHeard = this.#flows.some((flow) => {
        const { unanswered, heardAtMs } = this.#states.get(flow.key)!
        return flow.family === family && unanswered < unansweredAsks && nowMs - (heardAtMs ?? -Infinity) < heardMs
      })
      if (!isOtherHeard)
        return `packets go to other nodes over IPv${family} and nothing comes from any, nor does one answer an echo request: ${someOf(names)}`
    }
    return undefined
  }
}

/** Packets that went since the last one came. */
function unheardOf({ sent, sentWhenHeard }: State): number {
  return sent - sentWhenHeard
}

function hear(state: State, nowMs: number): void {
  state.heardAtMs = nowMs
  state.sentWhenHeard = state.sent
  state.unanswered = 0
}
