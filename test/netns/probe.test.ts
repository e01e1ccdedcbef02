// The connectivity probes in real namespaces: pods on veths around a router, which is then broken in the ways that a cluster's
// network breaks, and each time exactly the right probes must fail, with the right words.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { type EchoServer, serveEcho } from '#/lab/probe/echo.ts'
import { probeMatrix } from '#/lab/probe/matrix.ts'
import { renderMatrix } from '#/lab/probe/render.ts'
import type { ProbePod, ProbeResult } from '#/lab/probe/types.ts'
import { Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { createNetns, Netns, netnsPath, removeNetns } from '#/sys/netns.ts'
import { tcpListener } from '#/sys/socket.ts'

const timeoutMs = 3000

/** Pods web-1 … web-n on one router; dual stack, each link like that of a pod: a host route and a link-local gateway. */
class TestNetwork implements AsyncDisposable {
  readonly pods: readonly ProbePod[]
  readonly router: string
  readonly #namespaces = new Map<string, Netns>()
  readonly #servers = new Map<string, EchoServer>()

  private constructor(label: string, podCount: number) {
    this.router = `${label}-router`
    this.pods = Array.from({ length: podCount }, (_, index) => ({
      name: `web-${index + 1}`,
      node: `node-${(index % 4) + 1}`,
      netnsPath: netnsPath(`${label}-${index + 1}`),
      addrs: [Addr.parse(`10.7.0.${index + 1}`), Addr.parse(`fd07::${(index + 1).toString(16)}`)],
    }))
  }

  static async make(label: string, podCount: number): Promise<TestNetwork> {
    const network = new TestNetwork(`probe${process.pid}${label}`, podCount)
    try {
      await network.#build()
      return network
    } catch (error) {
      await network[Symbol.asyncDispose]()
      throw error
    }
  }

  async #build(): Promise<void> {
    for (const name of [this.router, ...this.pods.map(nameOf)]) this.#namespaces.set(name, createNetns(name))
    const sysctls = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv6.conf.default.accept_dad=0']
    execFileSync('ip', ['netns', 'exec', this.router, 'sysctl', '-qw', ...sysctls])
    ip(this.router, this.pods.flatMap(routerSide))
    for (const pod of this.pods) ip(nameOf(pod), podSide(pod))
    for (const pod of this.pods) await this.serve(pod)
  }

  /** Lets the pod's server say that it is `name`, in place of the one it had. */
  async serve(pod: ProbePod, name = pod.name): Promise<void> {
    await this.stopServing(pod)
    this.#servers.set(pod.name, await serveEcho(this.#namespaces.get(nameOf(pod))!, name))
  }

  async stopServing(pod: ProbePod): Promise<void> {
    await this.#servers.get(pod.name)?.[Symbol.asyncDispose]()
  }

  async probe(): Promise<ProbeResult[]> {
    return probeMatrix(this.pods, { timeoutMs })
  }

  /** Runs `work` while the router has these nftables chains. */
  async withRules(chains: string, work: () => Promise<void>, namespace = this.router): Promise<void> {
    const nft = (input: string): Buffer =>
      execFileSync('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { input: `${input}\n` })
    nft(`table inet break {\n${chains}\n}`)
    try {
      await work()
    } finally {
      nft('delete table inet break')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.values()) await server[Symbol.asyncDispose]()
    for (const [name, namespace] of this.#namespaces) {
      namespace[Symbol.dispose]()
      removeNetns(name)
    }
  }
}

function nameOf(pod: ProbePod): string {
  return pod.netnsPath.split('/').at(-1)!
}

function ip(namespace: string, commands: readonly string[]): void {
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

function routerSide(pod: ProbePod): string[] {
  const { name } = pod
  return [
    `link add ${name} type veth peer name eth0 netns ${nameOf(pod)}`,
    `link set ${name} addrgenmode none up`,
    `addr add 169.254.1.1/32 dev ${name}`,
    `addr add fe80::1/64 dev ${name} nodad`,
    ...pod.addrs.map((addr) => `route add ${addr}/${addr.bits} dev ${name}`),
  ]
}

function podSide({ addrs }: ProbePod): string[] {
  return [
    'link set lo up',
    'link set eth0 up',
    ...addrs.map((addr) => `addr add ${addr}/${addr.bits} dev eth0${addr.family === 6 ? ' nodad' : ''}`),
    'route add default via 169.254.1.1 dev eth0 onlink',
    'route add default via fe80::1 dev eth0',
  ]
}

/** "web-1 → web-2 tcp v4: problem" of those that failed. */
function failuresOf(results: readonly ProbeResult[]): string[] {
  return results
    .filter(({ ok }) => !ok)
    .map(({ from, to, protocol, family, problem }) => `${from} → ${to} ${protocol} v${family}: ${problem}`)
}

describe('the connectivity matrix', () => {
  let network: TestNetwork
  before(async () => {
    network = await TestNetwork.make('m', 3)
  })
  after(async () => network[Symbol.asyncDispose]())

  test('is all ok in a network that works', async () => {
    const results = await network.probe()
    assert.deepEqual(failuresOf(results), [])
    assert.equal(results.length, 24)
    for (const { rttMs } of results) assert.ok(rttMs !== undefined && rttMs >= 0 && rttMs < timeoutMs, String(rttMs))
    assert.match(renderMatrix(network.pods, results), /^6 pairs, 24 probes: 24 ok, 0 failed \(icmp p50 /m)
  })

  test('says which family and protocol is dropped', async () => {
    const drop = `chain f { type filter hook forward priority 0;
      ip6 saddr fd07::1 ip6 daddr fd07::3 tcp flags & (syn | ack) == syn drop
    }`
    await network.withRules(drop, async () => {
      const results = await network.probe()
      assert.deepEqual(failuresOf(results), ['web-1 → web-3 tcp v6: no answer to the SYN within 3000 ms'])
      assert.match(renderMatrix(network.pods, results), /^web-1 +node-1 +- +ok +✗ tcp v6$/m)
    })
  })

  test('says that replies are missing', async () => {
    const drop = `chain f { type filter hook forward priority 0;
      icmp type echo-reply drop
    }`
    await network.withRules(drop, async () => {
      const failures = failuresOf(await network.probe())
      assert.equal(failures.length, 6)
      assert.equal(failures[0], 'web-1 → web-2 icmp v4: no reply within 3000 ms')
    })
  })

  test('what policies forbid is denied only when nothing of it arrives', async () => {
    const outcomes = async (): Promise<string[]> => {
      // web-1 may not reach web-2, and web-2 may reach web-1: answers of the one are no probes of the other
      const deniedBy = ({ from, to }: { from: ProbePod; to: ProbePod }): string | undefined =>
        from.name === 'web-1' && to.name === 'web-2' ? 'denied by a policy' : undefined
      const results = await probeMatrix(network.pods.slice(0, 2), { timeoutMs, deniedBy })
      assert.ok(results.filter(({ from }) => from === 'web-2').every(({ outcome }) => outcome === 'ok'))
      return results.filter(({ from }) => from === 'web-1').map(({ outcome }) => outcome)
    }
    const chain = (...rules: string[]): string =>
      `chain f { type filter hook forward priority 0;\n${rules.join('\n')}\n}`
    const answers = 'ct direction reply drop'
    const fromFirst = ['ip saddr 10.7.0.1 ct state new drop', 'ip6 saddr fd07::1 ct state new drop']
    assert.deepEqual(await outcomes(), ['leak', 'leak', 'leak', 'leak'])
    await network.withRules(chain(...fromFirst), async () => {
      assert.deepEqual(await outcomes(), ['denied', 'denied', 'denied', 'denied'])
    })
    // no probe is answered, but all arrive
    await network.withRules(chain(`ip saddr 10.7.0.2 ${answers}`, `ip6 saddr fd07::2 ${answers}`), async () => {
      assert.deepEqual(await outcomes(), ['leak', 'leak', 'leak', 'leak'])
    })
  })

  test('forgives one lost packet', async () => {
    // the first echo request and the first SYN, of 84 and 60 bytes: "until" no longer matches the second one
    const lose = `chain f { type filter hook forward priority 0
      ip saddr 10.7.0.1 ip daddr 10.7.0.2 icmp type echo-request quota until 100 bytes drop
      ip saddr 10.7.0.1 ip daddr 10.7.0.2 tcp flags & (syn | ack) == syn quota until 100 bytes drop
    }`
    await network.withRules(lose, async () => {
      assert.deepEqual(failuresOf(await network.probe()), [])
    })
  })

  test('has the words of whoever rejects', async () => {
    const reject = `chain f { type filter hook forward priority 0;
      ip saddr 10.7.0.1 ip daddr 10.7.0.2 ct direction original reject with icmp host-unreachable
      ip6 saddr fd07::1 ip6 daddr fd07::2 ct direction original reject with icmpv6 admin-prohibited
    }`
    await network.withRules(reject, async () => {
      assert.deepEqual(failuresOf(await network.probe()), [
        'web-1 → web-2 icmp v4: host unreachable, says 169.254.1.1',
        'web-1 → web-2 tcp v4: host is unreachable (EHOSTUNREACH)',
        'web-1 → web-2 icmp v6: communication prohibited, says fe80::1',
        'web-1 → web-2 tcp v6: permission denied (EACCES)',
      ])
    })
  })

  test('tells a missing route from a missing listener', async () => {
    const [first, , third] = network.pods
    ip(nameOf(first!), ['route del default via 169.254.1.1 dev eth0'])
    await network.stopServing(third!)
    try {
      const failures = failuresOf(await network.probe())
      assert.deepEqual(
        failures.filter((line) => line.startsWith('web-1') && line.includes('v4')),
        ['web-2 icmp', 'web-2 tcp', 'web-3 icmp', 'web-3 tcp'].map(
          (probe) => `web-1 → ${probe} v4: network is unreachable (ENETUNREACH)`,
        ),
      )
      assert.ok(failures.includes('web-2 → web-3 tcp v4: connection refused (ECONNREFUSED)'))
      assert.ok(failures.includes('web-2 → web-3 tcp v6: connection refused (ECONNREFUSED)'))
      assert.ok(!failures.some((line) => line.startsWith('web-2 → web-3 icmp')))
    } finally {
      ip(nameOf(first!), ['route add default via 169.254.1.1 dev eth0 onlink'])
      await network.serve(third!)
    }
  })

  test('tells that the source drops its own packets', async () => {
    const drop = `chain o { type filter hook output priority 0;
      meta l4proto icmp drop
    }`
    const work = async (): Promise<void> => {
      const failures = failuresOf(await network.probe())
      assert.ok(failures.includes('web-1 → web-2 icmp v4: operation not permitted (EPERM)'), failures.join('\n'))
    }
    await network.withRules(drop, work, nameOf(network.pods[0]!))
  })

  test('notices that the source is masqueraded', async () => {
    ip(network.router, ['addr add 172.30.0.11/32 dev lo', 'addr add fd30::11/128 dev lo nodad'])
    const masquerade = `chain p { type nat hook postrouting priority 100;
      ip saddr 10.7.0.1 ip daddr 10.7.0.2 snat ip to 172.30.0.11
      ip6 saddr fd07::1 ip6 daddr fd07::2 snat ip6 to fd30::11
    }`
    try {
      await network.withRules(masquerade, async () => {
        assert.deepEqual(failuresOf(await network.probe()), [
          'web-1 → web-2 tcp v4: the source arrived as 172.30.0.11: masqueraded',
          'web-1 → web-2 tcp v6: the source arrived as fd30::11: masqueraded',
        ])
      })
    } finally {
      ip(network.router, ['addr del 172.30.0.11/32 dev lo', 'addr del fd30::11/128 dev lo'])
    }
  })

  test('notices that another pod answers', async () => {
    const [, second] = network.pods
    await network.serve(second!, 'db-0')
    try {
      const failures = failuresOf(await network.probe())
      assert.deepEqual(
        failures,
        ['web-1', 'web-3'].flatMap((from) => [4, 6].map((f) => `${from} → web-2 tcp v${f}: answered by pod db-0`)),
      )
    } finally {
      await network.serve(second!)
    }
  })

  test('tells a server that hangs and one that is not ours from a pod', async () => {
    const [first, second] = network.pods
    using namespace = new Netns(second!.netnsPath)
    const greetings = ['', 'SSH-2.0-x\r\n']
    for (const [index, problem] of [
      'connected, but no answer came',
      'answered by something else: "SSH-2.0-x\\r"',
    ].entries()) {
      await using server = createServer(
        (socket) =>
          void socket
            .on('error', () => {})
            .resume()
            .write(greetings[index]!),
      )
      server.listen({ fd: namespace.run(() => tcpListener(6, 9000)) })
      await once(server, 'listening')
      const results = await probeMatrix([first!, second!], { timeoutMs: 2000, tcpPort: 9000, families: [6] })
      assert.equal(failuresOf(results)[0], `web-1 → web-2 tcp v6: ${problem}`)
    }
  })

  test('fails all probes of a pod whose namespace is gone, and no others', async () => {
    const [first, second] = network.pods
    const gone = { ...first!, netnsPath: netnsPath('no-such-pod') }
    const failures = failuresOf(await probeMatrix([gone, second!], { timeoutMs, families: [4] }))
    const problem = "pod web-1 has no namespace: ENOENT: no such file or directory, open '/run/netns/no-such-pod'"
    assert.deepEqual(failures, [`web-1 → web-2 icmp v4: ${problem}`, `web-1 → web-2 tcp v4: ${problem}`])
  })

  test('only asks families that both pods have', async () => {
    const [first, second] = network.pods
    const single = { ...second!, addrs: second!.addrs.slice(1) }
    const results = await probeMatrix([first!, single], { timeoutMs })
    assert.deepEqual(
      results.map(({ from, to, family, protocol, ok }) => [from, to, family, protocol, ok]),
      [
        ['web-1', 'web-2', 6, 'icmp', true],
        ['web-1', 'web-2', 6, 'tcp', true],
        ['web-2', 'web-1', 6, 'icmp', true],
        ['web-2', 'web-1', 6, 'tcp', true],
      ],
    )
  })

  test('answers curl, and a client that says nothing', async () => {
    const [first, second] = network.pods
    const url = `http://${second!.addrs[0]}:8080/`
    const { stdout } = await promisify(execFile)('ip', ['netns', 'exec', nameOf(first!), 'curl', '-sS', '-i', url])
    assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n\{"pod":"web-2","source":"10\.7\.0\.1"\}\n$/)

    const silent = `exec 3<>/dev/tcp/${second!.addrs[1]}/8080; cat <&3`
    const said = await promisify(execFile)('ip', ['netns', 'exec', nameOf(first!), 'bash', '-c', silent])
    assert.equal(said.stdout, '{"pod":"web-2","source":"fd07::1"}\n')
  })

  test('says whose echo server finds its port taken', async () => {
    const [first] = network.pods
    using namespace = new Netns(first!.netnsPath)
    await using server = await serveEcho(namespace, 'other', 0)
    await assert.rejects(serveEcho(namespace, 'third', server.port), (error: Error) => {
      assert.equal(
        messageOf(error),
        `echo server of pod third in ${first!.netnsPath}: bind TCP port ${server.port}: EADDRINUSE`,
      )
      return true
    })
  })
})

test('forty pods try each other', async (context) => {
  await using network = await TestNetwork.make('s', 40)
  const startedMs = performance.now()
  const results = await probeMatrix(network.pods, { timeoutMs: 60_000 })
  context.diagnostic(`${results.length} probes in ${Math.round(performance.now() - startedMs)} ms`)
  context.diagnostic(renderMatrix(network.pods, results))
  assert.equal(results.length, 40 * 39 * 4)
  assert.deepEqual(failuresOf(results), [])
})
