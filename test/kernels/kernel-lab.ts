// What the tests on Debian's kernels share: labs in each datapath, and what is asked of any lab whatever its underlay is made of.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { causeway, eventually, run, TestLab, type UpReport } from '../e2e/harness.ts'

/** Every datapath, with the options of `lab up` that choose it. */
export const datapaths: readonly (readonly [name: string, options: readonly string[]])[] = [['bridge', []]]

export type LabPod = UpReport['pods'][number]

/** The largest packet of each family between pods of two nodes whose underlay has 1500 bytes. */
export const mtuBytes = { vxlan: { 4: 1450, 6: 1430 }, native: { 4: 1500, 6: 1500 } } as const

const familyOf = (addr: string): 4 | 6 => (addr.includes(':') ? 6 : 4)
const headerBytes = { 4: 28, 6: 48 } as const

export class KernelLab extends TestLab {
  pods: readonly LabPod[] = []

  /** Brings the lab up, and waits until it is settled: under emulation the first probes may be too early. */
  async start(...options: readonly string[]): Promise<UpReport> {
    const { status, stdout, stderr } = run(causeway, ['lab', 'up', '--name', this.name, '--json', ...options])
    assert.ok(stdout.startsWith('{'), `lab up exited ${status}: ${stderr}`)
    const report = JSON.parse(stdout) as UpReport
    this.pods = report.pods
    await this.settled()
    return report
  }

  /** Two pods of different nodes. */
  get pair(): readonly [LabPod, LabPod] {
    const [from] = this.pods
    const to = this.pods.find(({ node }) => node !== from?.node)
    assert.ok(from && to, 'the lab has pods on two nodes')
    return [from, to]
  }

  inPod(pod: LabPod, ...command: readonly string[]) {
    return this.inside(`pod-default-${pod.name}`, ...command)
  }

  /** Waits until every pod reaches every other, and no agent tells a problem. */
  async settled(): Promise<void> {
    await eventually('all pods reach each other', () => {
      const { status, stdout } = run(causeway, ['lab', 'status', '--name', this.name])
      assert.equal(status, 0, stdout)
      return true
    })
    await eventually('no node has a problem', () => {
      const { status, stdout } = run(causeway, ['status', '--lab', this.name])
      assert.equal(status, 0, stdout)
      return true
    })
  }

  /** Packets of full size, which may not be fragmented, and larger ones, which are. */
  async sizesCross(way: keyof typeof mtuBytes): Promise<void> {
    const [from, to] = this.pair
    for (const addr of to.addrs) {
      const full = mtuBytes[way][familyOf(addr)] - headerBytes[familyOf(addr)]
      const ping = (...options: string[]) => this.inPod(from, 'ping', '-n', '-c1', '-W5', ...options, addr)
      await eventually(`a full packet to ${addr}`, () => {
        const { status, stdout } = ping('-M', 'do', '-s', String(full))
        assert.equal(status, 0, stdout)
        return true
      })
      assert.notEqual(ping('-M', 'do', '-s', String(full + 1)).status, 0, `more than the MTU to ${addr}`)
      const fragmented = ping('-M', 'dont', '-s', '4000')
      assert.equal(fragmented.status, 0, `fragments to ${addr}: ${fragmented.stdout}`)
    }
  }

  /** Sends bytes over TCP from one pod to another, in each family; all must arrive as they were sent. */
  async bytesArrive(bytes: number): Promise<void> {
    const [from, to] = this.pair
    for (const addr of to.addrs) {
      const receiver = this.#transfer(to, 'receive', addr)
      const sent = await this.#transfer(from, 'send', addr, String(bytes))
      assert.equal(await receiver, sent, `${bytes} bytes to ${addr}`)
    }
  }

  async #transfer(pod: LabPod, ...args: readonly string[]): Promise<string> {
    const program = new URL('transfer-process.ts', import.meta.url).pathname
    const netns = ['netns', 'exec', `cw-${this.name}-pod-default-${pod.name}`]
    const child = spawn('ip', [...netns, process.execPath, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    return text(child.stdout)
  }
}

/** Lines of a shell script that moves a node's addresses and default routes from eth0 to another device. */
export function movedTo(device: string): string {
  return `addrs=$(ip -o addr show dev eth0 scope global | awk '{print $4}')
    gateways=$(ip route show default; ip -6 route show default)
    ip addr flush dev eth0 scope global
    for addr in $addrs; do
      case $addr in *:*) ip addr add "$addr" dev ${device} nodad ;; *) ip addr add "$addr" dev ${device} ;; esac
    done
    for gateway in $(echo "$gateways" | awk '{print $3}'); do ip route replace default via "$gateway" dev ${device}; done`
}
