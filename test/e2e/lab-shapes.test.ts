// Labs of other shapes: families, subnets, MTU, many nodes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { causeway, must, run, TestLab } from './harness.ts'

test('IPv4 only, jumbo underlay: packets of the tunnel MTU pass, larger ones do not', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--families', 'ipv4', '--mtu', '9000', '--pods', '1', '--nodes', '2')
  const [addr] = pods[1]!.addrs
  const ping = (bytes: number) =>
    lab.inside('pod-default-web-1', 'ping', '-M', 'do', '-c1', '-W1', '-s', String(bytes - 28), addr!).status
  assert.equal(ping(8950), 0)
  assert.notEqual(ping(8951), 0)
})

test('IPv6 only: 70 bytes below the underlay', async () => {
  using lab = new TestLab()
  const { pods } = lab.up('--families', 'ipv6', '--pods', '1', '--nodes', '2')
  const [addr] = pods[1]!.addrs
  const ping = (bytes: number) =>
    lab.inside('pod-default-web-1', 'ping', '-M', 'do', '-c1', '-W1', '-s', String(bytes - 48), addr!).status
  assert.equal(ping(1430), 0)
  assert.notEqual(ping(1431), 0)
})

test('several underlay subnets, joined by a router', async () => {
  using lab = new TestLab()
  lab.up('--subnets', '2', '--pods', '1')
  assert.match(lab.mustInside('node-1', 'ip', '-br', 'addr', 'show', 'eth0'), /172\.30\.1\.11\/24/)
  assert.match(lab.mustInside('node-2', 'ip', '-br', 'addr', 'show', 'eth0'), /172\.30\.2\.12\/24/)
})

test('twenty nodes', async () => {
  using lab = new TestLab()
  const { nodes, probes } = lab.up('--nodes', '20', '--pods', '1')
  assert.equal(nodes.length, 20)
  assert.equal(probes.length, 20 * 19 * 2 * 2)
  assert.equal(new Set(nodes.flatMap(({ podCIDRs }) => podCIDRs)).size, 40)
})

test('--foreground stays, and Ctrl-C takes the lab down', async () => {
  using lab = new TestLab()
  const child = spawn(causeway, ['lab', 'up', '--name', lab.name, '--nodes', '2', '--pods', '1', '--foreground'])
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.on('exit', resolve)
  let told = ''
  child.stderr.on('data', (chunk: Buffer) => {
    told += chunk.toString()
    if (told.includes('Ctrl-C')) setTimeout(() => child.kill('SIGINT'), 500)
  })
  child.stdout.resume()
  assert.equal(await promise, 0, told)
  assert.doesNotMatch(must('ip', 'netns'), new RegExp(`cw-${lab.name}-`))
})

test('wrong input gets one clear line, the right exit status, and nothing half done', () => {
  const cases: [string[], number, RegExp][] = [
    [['lab', 'up', '--nodes', 'many'], 2, /--nodes "many": expected a whole number/],
    [['lab', 'up', '--nodes', '0'], 2, /--nodes 0: expected a whole number from 1 to 200/],
    [['lab', 'up', '--families', 'ipx'], 2, /--families "ipx": expected ipv4, ipv6, dual/],
    [['lab', 'up', '--cluster-cidrs', '10.244.0.1/16'], 2, /host bits set; did you mean 10\.244\.0\.0\/16/],
    [['lab', 'up', '--cluster-cidrs', '10.244.0.0/16'], 2, /has no IPv6 CIDR/],
    [
      ['lab', 'up', '--families', 'ipv4', '--cluster-cidrs', '10.0.0.0/8,10.1.0.0/16'],
      2,
      /10\.1\.0\.0\/16 overlaps 10\.0\.0\.0\/8/,
    ],
    [
      ['lab', 'up', '--families', 'ipv4', '--cluster-cidrs', '172.30.0.0/16'],
      2,
      /overlaps 172\.30\.0\.0\/16, the underlay/,
    ],
    [['lab', 'up', '--families', 'ipv4', '--cluster-cidrs', '10.9.0.0/24', '--nodes', '2'], 2, /too few for 2 nodes/],
    [
      ['lab', 'up', '--families', 'ipv4', '--cluster-cidrs', '127.0.0.0/8'],
      2,
      /loopback addresses: no pod can have one/,
    ],
    [['lab', 'up', '--cluster-cidrs', '10.0.0.0/16,ff02::/48'], 2, /multicast addresses: no pod can have one/],
    [['lab', 'down', '--name', '../run'], 2, /--name "..\/run": expected 1 to 12 lower-case letters and digits/],
    [['lab', 'up', '--mtu', '1300'], 2, /--mtu 1300/],
    [['lab', 'up', '--nope'], 2, /nope/],
    [['lab', 'up', '--racks', '2', '--subnets', '2'], 2, /--racks and --subnets exclude each other/],
    [['lab', 'up', '--racks', '2', '--router', 'ospf'], 2, /--router "ospf": expected bird, frr/],
    [['lab', 'up', '--tors', '2'], 2, /--tors is for a lab with racks: add --racks N/],
    [['lab', 'up', '--subnets', '2', '--routing', 'native'], 2, /the router between them knows no pods/],
    [['lab', 'sideways'], 2, /expected up, down, status, break or mend/],
    [['lab', 'status', '--name', 'absent'], 1, /no lab "absent" is up/],
    [['frobnicate'], 2, /there is no command "frobnicate"/],
    [['status', '--lab', 'absent'], 2, /there is no lab "absent"/],
    [['agent'], 2, /CAUSEWAY_NODE_NAME="": expected the name/],
    [['controller'], 2, /CAUSEWAY_CLUSTER_CIDRS is empty: expected/],
  ]
  // the default name of a lab, and the one that is asked for
  const made = (): string[] => must('ip', 'netns').match(/cw-(lab|absent)-\S+/g) ?? []
  const before = made()
  for (const [args, status, message] of cases) {
    const result = run(causeway, args, { CAUSEWAY_KUBECONFIG: '/nonexistent' })
    assert.equal(result.status, status, `${args.join(' ')}: ${result.stderr}`)
    assert.match(result.stderr, message)
    assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr)
  }
  assert.deepEqual(made(), before)
})
