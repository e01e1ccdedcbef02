// What the tests on Debian's kernels share: labs in each datapath, and what is asked of any lab whatever its underlay is made of.
import assert from 'node:assert/strict'
import { causeway, countPackets, eventually, run, TestLab, type UpReport } from '../e2e/harness.ts'
import { killTransfers, transfer } from './transfer.ts'

/** What carries packets on nodes, one after the other in one lab. */
export const datapaths = ['bridge', 'ebpf'] as const
export const routings = ['vxlan', 'native'] as const

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

  /** Changes a lab of two nodes that was started with eBPF, and waits until both have told that they follow. */
  async change(mode: string, datapath: string): Promise<void> {
    this.kubectl('patch', 'routing', 'default', '--type=merge', '-p', JSON.stringify({ spec: { mode, datapath } }))
    const messages = '-o=jsonpath={range .status.conditions[*]}{.type}={.message};{end}'
    await eventually(`${mode} with ${datapath}`, () => {
      const told = this.kubectl('get', 'routing', 'default', messages)
      assert.match(told, new RegExp(`(^|;)Applied=${mode} on 2 nodes;`))
      assert.match(told, new RegExp(`(^|;)DatapathApplied=${datapath} on 2 nodes;`))
      return true
    })
    await this.settled()
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
    await Promise.all(to.addrs.map(async (addr) => transfer(this.#netnsOf(from), this.#netnsOf(to), addr, bytes).done))
  }

  /** Transfers in each family and direction that go on until they are stopped; all that was sent until then must arrive. */
  startTransfers(): { readonly stop: () => Promise<void> } {
    const [one, two] = this.pair
    const ways = [
      ...two.addrs.map((addr) => [one, two, addr] as const),
      ...one.addrs.map((addr) => [two, one, addr] as const),
    ]
    const running = ways.map(([from, to, addr]) => transfer(this.#netnsOf(from), this.#netnsOf(to), addr))
    return {
      async stop() {
        for (const each of running) each.stop()
        await Promise.all(running.map(async (each) => each.done))
      },
    }
  }

  /** Pings in each family until they are stopped. */
  startPings(intervalSeconds: number) {
    const [from, to] = this.pair
    return to.addrs.map((addr) => countPackets(this.#netnsOf(from), addr, Infinity, intervalSeconds))
  }

  #netnsOf(pod: LabPod): string {
    return `cw-${this.name}-pod-default-${pod.name}`
  }

  override [Symbol.dispose](): void {
    killTransfers()
    super[Symbol.dispose]()
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
