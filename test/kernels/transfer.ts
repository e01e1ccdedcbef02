import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const program = new URL('transfer-process.ts', import.meta.url).pathname

/** Processes that run: also of a test that fails none is left. */
const running = new Set<ChildProcess>()

export function killTransfers(): void {
  for (const child of running) child.kill('SIGKILL')
}

function start(netns: string, ...args: readonly string[]): { child: ChildProcess; told: Promise<string> } {
  const command = ['netns', 'exec', netns, process.execPath, program, ...args]
  const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.on('close', () => running.delete(child))
  return { child, told: text(child.stdout) }
}

/**
 * Sends over one TCP connection from one namespace to an address in another: so many bytes, or without a number a few every moment
 * until `stop`. `done` rejects when what arrived is not what was sent.
 */
export function transfer(from: string, to: string, addr: string, bytes?: number) {
  const receiver = start(to, 'receive', addr)
  const sender = start(from, 'send', addr, ...(bytes === undefined ? [] : [String(bytes)]))
  const compare = async (): Promise<void> => {
    const [sent, received] = await Promise.all([sender.told, receiver.told])
    assert.match(sent, /^[1-9]\d* bytes, \w+$/, `what was sent to ${addr}`)
    assert.equal(received, sent, `what arrived at ${addr}`)
  }
  return { stop: () => void sender.child.stdin?.end(), done: compare() }
}
