// `causeway datapath watch`: prints the packets between two addresses or pods as the programs of each node see them.
import { type AgentOfNode, followAgent } from '#/api/client.ts'
import { type WatchedPacket, type WatchLine, watchLimits } from '#/api/schemas/datapath.ts'
import { Addr } from '#/lib/addr.ts'
import { agentOptions, agentOptionsNote, outcomesFrom, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { type Action } from './command.ts'
import { complain, print } from './output.ts'
import { stopRequested } from './signals.ts'

const watchOptions = {
  'one-way': { type: 'boolean', help: 'not the packets back' },
  seconds: { type: 'string', value: 'N', help: `how long, ${watchLimits.seconds} at most`, default: '60' },
  packets: { type: 'string', value: 'N', help: 'end after so many for each node and direction', default: '1000' },
  ...agentOptions,
} as const satisfies OptionTable

type Pair = { readonly from: string; readonly to: string }

/** 12:00:00.123456 of the day, in the time zone of this process. */
export function clockText(timeMs: number): string {
  const time = new Date(timeMs)
  const two = (part: number): string => String(part).padStart(2, '0')
  const micros = Math.floor((timeMs * 1000) % 1_000_000)
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(micros).padStart(6, '0')}`
}

export function packetLine(node: string, packet: WatchedPacket): string {
  const { timeMs, device, pod, hook, verdict, text, rule, packet: words, lengthBytes } = packet
  const where = `${node} ${hook} ${device}${pod === undefined ? '' : ` (${pod})`}`
  const what = verdict === 'stack' ? 'to the stack' : verdict
  return `${clockText(timeMs)} ${where}: ${what}${text === undefined ? '' : `, ${text}`}${rule === undefined ? '' : ` (${rule})`}: ${words}, ${lengthBytes} bytes`
}

/** The addresses of a pod, NAMESPACE/NAME or the name of one in `default`, or the address itself. */
async function addrsOf(text: string, agents: readonly AgentOfNode[]): Promise<Addr[]> {
  const addr = Addr.tryParse(text)
  if (addr) return [addr]
  const pod = text.includes('/') ? text : `default/${text}`
  const answers = await outcomesFrom(agents, 'status')
  const endpoints = answers.flatMap(({ outcome }) => (outcome.kind === 'answer' ? outcome.value.endpoints : []))
  const found = endpoints.filter((each) => each.pod === pod).flatMap(({ addrs }) => addrs)
  if (found.length === 0) throw new UsageError(`"${text}" is no IP address, and no pod of these nodes is ${pod}`)
  return found.map((each) => Addr.parse(each))
}

function pairsOf(from: readonly Addr[], to: readonly Addr[], isOneWay: boolean): Pair[] {
  return from.flatMap((src) =>
    to
      .filter(({ family }) => family === src.family)
      .flatMap((dst) => [
        { from: String(src), to: String(dst) },
        ...(isOneWay ? [] : [{ from: String(dst), to: String(src) }]),
      ]),
  )
}

function bounded(option: 'seconds' | 'packets', text: string): string {
  const most = watchLimits[option]
  const number = wholeNumber(option, text)
  if (number < 1 || number > most) throw new UsageError(`--${option} ${text}: expected 1 to ${most}`)
  return String(number)
}

/** Packets wait for so long before they are printed. */
const holdMs = 200

type Held = { readonly timeMs: number; readonly cameMs: number; readonly text: string }

/** Prints lines in the order of their times: each node and direction tells on a connection of its own. */
class Output implements Disposable {
  readonly #isJson: boolean
  readonly #timer = setInterval(() => this.#printUntil(performance.now() - holdMs), holdMs / 2)
  readonly #told = new Set<string>()
  /** Why streams ended, with the nodes that say so. */
  readonly #ends = new Map<string, Set<string>>()
  #packets = 0
  #held: Held[] = []

  constructor(isJson: boolean) {
    this.#isJson = isJson
  }

  add(node: string, { from, to }: Pair, line: WatchLine): void {
    const { packet, lost, end } = line
    if (packet) this.#packets++
    if (end !== undefined && !this.#isJson) {
      this.#ends.set(end, (this.#ends.get(end) ?? new Set()).add(node))
      return
    }
    const text = this.#isJson
      ? JSON.stringify({ node, from, to, ...line })
      : packet
        ? this.#packetText(node, packet)
        : `${node}: ${lost ?? 'perhaps'} more packets from ${from} to ${to} are not shown: they came too fast`
    this.#held.push({ timeMs: packet?.timeMs ?? Date.now(), cameMs: performance.now(), text })
  }

  /** A remedy is told once. */
  #packetText(node: string, packet: WatchedPacket): string {
    const { remedy } = packet
    if (remedy === undefined || this.#told.has(remedy)) return packetLine(node, packet)
    this.#told.add(remedy)
    return `${packetLine(node, packet)}\n  remedy: ${remedy}`
  }

  /** Also what came later but is of an earlier time than the last of these. */
  #printUntil(cameMs: number): void {
    const sorted = this.#held.toSorted((a, b) => a.timeMs - b.timeMs)
    const due = sorted.findLastIndex((each) => each.cameMs <= cameMs) + 1
    this.#held = sorted.slice(due)
    for (const { text } of sorted.slice(0, due)) print(text)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#printUntil(Infinity)
    for (const [why, nodes] of this.#ends) print(`${[...nodes].toSorted().join(', ')}: ${why}`)
    if (this.#packets === 0 && this.#ends.size > 0) print('no program has seen a packet')
  }
}

/** Watches on all nodes at once; returns the exit status. */
async function watch(
  agents: readonly AgentOfNode[],
  pairs: readonly Pair[],
  limits: { readonly seconds: string; readonly packets: string },
  isJson: boolean,
): Promise<number> {
  const stop = new AbortController()
  void stopRequested().then(() => stop.abort())
  using output = new Output(isJson)
  const watched = agents.flatMap(({ node, transport }) => pairs.map((pair) => ({ node, transport, pair })))
  const waiting = new Set(watched)
  const open = new Set<string>()
  // a node that has no programs refuses, and the others watch all the same
  const begun = (each: (typeof watched)[number], isOpen: boolean): void => {
    if (!waiting.delete(each)) return
    if (isOpen) open.add(each.node)
    if (waiting.size > 0 || open.size === 0) return
    const what = pairs.map(({ from, to }) => `${from} to ${to}`).join(', ')
    complain(`watching ${what} on ${[...open].toSorted().join(', ')}; Ctrl-C ends it`)
  }
  const outcomes = await Promise.all(
    watched.map(async (each) => {
      const { node, transport, pair } = each
      const onLine = (line: WatchLine): void => output.add(node, pair, line)
      const how = { signal: stop.signal, onOpen: () => begun(each, true) }
      const outcome = await followAgent(transport, 'datapathWatch', { ...pair, ...limits }, onLine, how)
      begun(each, false)
      return { node, outcome }
    }),
  )
  const errors = new Set(
    outcomes.flatMap(({ node, outcome }) => (outcome.kind === 'answer' ? [] : [`${node}: ${outcome.message}`])),
  )
  for (const error of errors) complain(error)
  return outcomes.some(({ outcome }) => outcome.kind === 'answer') ? 0 : 1
}

export const watchCommand: Action = {
  name: 'watch',
  summary: 'print packets between two pods or addresses, and what became of each',
  operands: 'FROM TO',
  about: `FROM and TO are IP addresses, or pods of these nodes: NAMESPACE/NAME, or NAME in the namespace default. Each line is one packet at one program: carried past the stack, given to the stack, or dropped and why. A packet that no program sees, such as one that a firewall drops on its way, is in no line. Ctrl-C ends it. Exit status 1 when no node could watch.

${agentOptionsNote}`,
  options: watchOptions,
  run: async (args) => {
    const { values, positionals } = options(args, watchOptions)
    const [from, to, ...more] = positionals
    if (from === undefined || to === undefined)
      throw new UsageError('watch needs two ends: causeway datapath watch 10.244.1.5 default/web')
    noMore(more)
    const limits = { seconds: bounded('seconds', values.seconds), packets: bounded('packets', values.packets) }
    // a pod may be on another node than the one that --node chooses
    const { node, ...everywhere } = values
    return withAgents(everywhere, async (all) => {
      const agents = all.filter((each) => node === undefined || each.node === node)
      if (agents.length === 0)
        throw new UsageError(`--node ${node}: there are agents on ${all.map((each) => each.node).join(', ')}`)
      const pairs = pairsOf(await addrsOf(from, all), await addrsOf(to, all), values['one-way'] === true)
      if (pairs.length === 0) throw new UsageError(`${from} and ${to} have no address of the same family`)
      return watch(agents, pairs, limits, values.json === true)
    })
  },
}
