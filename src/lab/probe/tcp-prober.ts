// One TCP probe: connect from the source pod's namespace, send a line, read the echo server's line, and compare it with the expected
// answer.
import { closeSync } from 'node:fs'
import { POLLIN, POLLOUT } from '#/sys/fd-watcher.ts'
import type { Netns } from '#/sys/netns.ts'
import { untilReady } from '#/sys/readiness.ts'
import { receive, send, socketError, startConnect, tcpRttMs, tcpSocket } from '#/sys/socket.ts'
import { answerLimitBytes, greeting, parseAnswer } from './answer.ts'
import type { Pair } from './pairs.ts'
import { errnoWords, failed, problemOf } from './problem.ts'
import type { Outcome } from './types.ts'

export type TcpProbeOptions = { readonly port: number; readonly timeoutMs: number }

/** A second attempt, so that one lost packet does not fail the probe: the kernel itself sends a second SYN only after a second. */
const attempts = 2

type Connected = { readonly kind: 'connected'; readonly rttMs: number }
type Failed = { readonly kind: 'failed'; readonly problem: string }
type Late = { readonly kind: 'late' }
type Try = { readonly kind: 'done'; readonly outcome: Outcome } | Late

type Ready = (events: number) => Promise<boolean>

async function connect(fd: number, pair: Pair, port: number, ready: Ready): Promise<Connected | Failed | Late> {
  startConnect(fd, pair.target, port)
  // An ICMP error that arrives before connect(2) releases the socket, as between veths, is only a soft error: it does not make the socket
  // ready, but the socket can be asked for it (tcp_v4_err in net/ipv4/tcp_ipv4.c).
  const softError = socketError(fd)
  if (softError !== undefined) return { kind: 'failed', problem: errnoWords(softError) }
  if (!(await ready(POLLOUT))) return { kind: 'late' }
  const error = socketError(fd)
  return error === undefined
    ? { kind: 'connected', rttMs: tcpRttMs(fd) }
    : { kind: 'failed', problem: errnoWords(error) }
}

/** The first line, or all data when the server closed or sent too much; undefined when it does not arrive in time. */
async function readLine(fd: number, ready: Ready): Promise<string | undefined> {
  const buffer = new Uint8Array(answerLimitBytes)
  let length = 0
  while (length < buffer.length && !buffer.subarray(0, length).includes(0x0a)) {
    if (!(await ready(POLLIN))) return undefined
    const count = receive(fd, buffer.subarray(length))
    if (count === 0) break
    length += count ?? 0
  }
  return new TextDecoder().decode(buffer.subarray(0, length)).split('\n')[0]
}

function judge(line: string, pair: Pair, rttMs: number): Outcome {
  const answer = parseAnswer(line)
  if (answer === undefined) return failed(`answered by something else: ${JSON.stringify(line.slice(0, 60))}`)
  if (answer.pod !== pair.to.name) return failed(`answered by pod ${answer.pod}`)
  if (!pair.from.addrs.some((addr) => addr.equals(answer.source)))
    return failed(`the source arrived as ${answer.source}: masqueraded`)
  return { ok: true, rttMs }
}

type Deadlines = { readonly connectMs: number; readonly answerMs: number }

async function attempt(netns: Netns, pair: Pair, port: number, until: Deadlines): Promise<Try> {
  const fd = netns.run(() => tcpSocket(pair.family))
  try {
    const outcome = await connect(fd, pair, port, async (events) => untilReady(fd, events, until.connectMs))
    if (outcome.kind === 'late') return outcome
    if (outcome.kind === 'failed') return { kind: 'done', outcome: failed(outcome.problem) }
    send(fd, greeting)
    const line = await readLine(fd, async (events) => untilReady(fd, events, until.answerMs))
    return {
      kind: 'done',
      outcome: line === undefined ? failed('connected, but no answer came') : judge(line, pair, outcome.rttMs),
    }
  } finally {
    closeSync(fd)
  }
}

/** Never throws: an error is the probe's outcome. */
export async function probeTcp(netns: Netns, pair: Pair, { port, timeoutMs }: TcpProbeOptions): Promise<Outcome> {
  const startMs = performance.now()
  try {
    for (let number = 1; number <= attempts; number++) {
      const until = { connectMs: startMs + (timeoutMs * number) / attempts, answerMs: startMs + timeoutMs }
      const result = await attempt(netns, pair, port, until)
      if (result.kind === 'done') return result.outcome
    }
    return failed(`no answer to the SYN within ${timeoutMs} ms`)
  } catch (error) {
    return failed(problemOf(error))
  }
}
