// `causeway trace`: sends a real packet from one end to another, shows where it goes, and says where and why it ends.
import { type Family } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { type TraceProtocol } from '#/model/trace.ts'
import { captureFile } from '#/trace/bytes.ts'
import { tracePage } from '#/trace/page/page.ts'
import { exitStatus } from '#/trace/verdict.ts'
import { chosenSource } from './access/open.ts'
import { agentOptions, agentOptionsNote, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { type Action } from './command.ts'
import { complain, print, printJson, tableWidth } from './output.ts'
import { type TraceWish } from './trace-facts.ts'
import { traceJson } from './trace-json.ts'
import { makeTracePrograms } from './set-up.ts'
import { runNamed } from './trace-named.ts'
import { type TraceOptions } from './trace-run.ts'
import { runSizes } from './trace-sizes.ts'
import { renderTrace } from './trace-text.ts'
import { runWays } from './trace-ways.ts'
import { version } from './version.ts'
import { writeWhole } from './whole-file.ts'

const { node: _node, ...everywhere } = agentOptions

const traceOptions = {
  icmp: { type: 'boolean', help: 'send an ICMP echo request; so it is when TO has no port' },
  tcp: { type: 'boolean', help: 'send the SYN of a TCP connection; so it is when TO has a port' },
  udp: { type: 'boolean', help: 'send a UDP datagram' },
  size: { type: 'string', value: 'N', help: 'bytes of the IP packet, which then is not to be fragmented' },
  family: {
    type: 'string',
    value: '4|6',
    help: 'IPv4 or IPv6',
    choices: ['4', '6'],
    shownDefault: 'the first that both have',
  },
  ways: {
    type: 'boolean',
    help: 'send 8 probes of TCP or UDP, each from a port of its own, since equal ways may be chosen by that',
  },
  steps: { type: 'boolean', help: 'also say step by step what each kernel would do' },
  bytes: { type: 'boolean', help: 'also take the bytes apart, at each device' },
  bundle: { type: 'string', value: 'FILE', help: 'say what the nodes of a support bundle would do, without packets' },
  html: { type: 'string', value: 'FILE', help: 'write the trace as a page for a browser, which needs nothing else' },
  pcap: { type: 'string', value: 'FILE', help: 'write what was seen as pcapng, for Wireshark and tcpdump' },
  ...everywhere,
} as const satisfies OptionTable

const highestPort = 65_535
const largestBytes = 65_535
const untoldStatus = 3

/** NAME:PORT, ADDRESS:PORT with IPv4, [ADDRESS]:PORT with IPv6; without a port, the name or address alone. */
export function splitPort(text: string): { readonly end: string; readonly port?: number } {
  const [, bracketed, behind] = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? []
  const [, name, number] = /^([^:]+):(\d+)$/.exec(text) ?? []
  const end = bracketed ?? name ?? text
  const digits = bracketed === undefined ? number : behind
  if (digits === undefined) return { end }
  const port = Number(digits)
  if (port < 1 || port > highestPort) throw new UsageError(`${text}: expected a port from 1 to ${highestPort}`)
  return { end, port }
}

type Chosen = {
  readonly icmp?: boolean | undefined
  readonly tcp?: boolean | undefined
  readonly udp?: boolean | undefined
  readonly size?: string | undefined
  readonly ways?: boolean | undefined
}

/** What is sent. Throws UsageError for what does not go together. */
export function wishOf(chosen: Chosen, port: number | undefined): TraceWish {
  const named = (['icmp', 'tcp', 'udp'] as const).filter((name) => chosen[name] === true)
  if (named.length > 1) throw new UsageError(`--${named.join(' and --')}: a probe is one of them`)
  const protocol: TraceProtocol = named[0] ?? (port !== undefined || chosen.ways === true ? 'tcp' : 'icmp')
  if (protocol === 'icmp' && chosen.ways === true) throw new UsageError('--ways: ICMP has no ports; use --udp or --tcp')
  if (protocol === 'icmp' && port !== undefined) throw new UsageError('--icmp: ICMP has no ports')
  const sizeBytes = chosen.size === undefined ? undefined : wholeNumber('size', chosen.size)
  if (sizeBytes !== undefined && (sizeBytes < 1 || sizeBytes > largestBytes))
    throw new UsageError(`--size ${sizeBytes}: expected 1 to ${largestBytes}`)
  if (protocol === 'tcp' && sizeBytes !== undefined)
    throw new UsageError('--size: a SYN carries no data; add --icmp without a port, or --udp')
  return { protocol, ...(port !== undefined && { port }), ...(sizeBytes !== undefined && { sizeBytes }) }
}

function write(option: 'html' | 'pcap', path: string, content: string | Uint8Array): void {
  try {
    writeWhole(path, content)
  } catch (error) {
    throw new UsageError(`--${option} ${path}`, { cause: error })
  }
}

type Besides = { readonly json?: boolean | undefined; readonly html?: string | undefined } & Readonly<
  Record<(typeof ofPackets)[number], unknown>
>
/** What there is only of packets that were seen, or of agents that are there. */
const ofPackets = ['pcap', 'bytes', 'ways', 'lab', 'kubeconfig', 'context', 'agents-namespace'] as const

/** What a bundle's nodes would do; returns the exit status. */
async function tellOfBundle(path: string, asked: TraceOptions, values: Besides): Promise<number> {
  const other = ofPackets.find((name) => values[name] !== undefined)
  if (other !== undefined) throw new UsageError(`--${other}: a bundle has no packets and no agents`)
  const { foretell } = await import('./trace-foretold.ts')
  const { foretoldJson, foretoldStatus, renderForetold } = await import('./trace-foretold-text.ts')
  const told = await foretell(path, asked)
  if (values.json === true) printJson(foretoldJson(told))
  else print(renderForetold(told, tableWidth()))
  if (values.html !== undefined) write('html', values.html, tracePage(foretoldJson(told), `causeway ${version()}`))
  return foretoldStatus(told)
}

export const traceCommand: Action = {
  name: 'trace',
  summary: 'follow a real packet from one pod or node to another, and say where and why it ends',
  operands: 'FROM TO[:PORT]',
  about: `FROM is a pod (NAMESPACE/NAME, or NAME of one in the namespace default, or of the only one), a node, or an address of one of them. TO may also be a Service, by its name or address, or an address outside of the cluster.

One packet is sent, from the namespace of FROM, as any program there would send it. It is told at each device of each node on its way, and so is its answer. Behind a Service the node chooses the end. Nothing of the packet changes how it is treated, no process receives a connection, and what connection tracking keeps of it is deleted in the end. Without a port, an answer that nothing listens is an answer.

Where the packet ends, the first place is told at which it was to be seen and was not, what the kernel says of that, and what mends it.

Exit status 0: answered; 1: not; 2: wrong use; 3: it cannot be told, since agents do not answer or kernels do not show packets; 4: a datagram came to a process, which did not answer in time.

With --bundle no packet is sent: the kernels of the nodes of a support bundle are asked what they would do, as they were then. Exit status 0: the packet would be answered; 1: it would not, or no process listened at that port; 3: something on the way is not told.

${agentOptionsNote}`,
  options: traceOptions,
  run: async (args) => {
    const { values, positionals } = options(args, traceOptions)
    const [from, target, ...more] = positionals
    if (!from || !target) throw new UsageError('trace needs two ends: causeway trace shop/web-1 db/pg-0:5432')
    noMore(more)
    const { end: to, port } = splitPort(target)
    const wish = wishOf(values, port)
    const family = values.family === undefined ? {} : { family: Number(values.family) as Family }
    const isJson = values.json === true
    const asked = { from, to, ...family, ...wish }
    try {
      if (values.bundle !== undefined) return await tellOfBundle(values.bundle, asked, values)
      if (chosenSource(values).kind === 'lab') makeTracePrograms()
      const run = await withAgents(values, async (agents) =>
        runNamed(agents, values, asked, values.ways === true ? runWays : runSizes),
      )
      if (isJson) printJson(traceJson(run))
      else
        print(
          renderTrace(run, { width: tableWidth(), hasSteps: values.steps === true, hasBytes: values.bytes === true }),
        )
      // what was printed is told also where no file can be written
      if (values.html !== undefined) write('html', values.html, tracePage(traceJson(run), `causeway ${version()}`))
      if (values.pcap !== undefined) write('pcap', values.pcap, captureFile(run.facts.sightings))
      return exitStatus(run.verdict)
    } catch (error) {
      if (error instanceof UsageError) throw error
      // a status of 1 would say that the packet got no answer
      if (isJson) printJson({ error: messageOf(error), exitStatus: untoldStatus })
      else complain(`causeway: ${messageOf(error)}`)
      return untoldStatus
    }
  },
}
