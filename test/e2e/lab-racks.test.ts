// Labs with racks: routers that run BIRD or FRR and know nothing but what BGP tells them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labProcesses } from '#/lab/processes.ts'
import { type RouterKind, routerKinds } from '#/lab/spec.ts'
import { causeway, countPackets, eventually, must, run, TestLab } from './harness.ts'
import { birdc, daemons, recovered } from './lab-routers.ts'

/** What a router's kernel knows of a prefix; '' when it knows nothing. */
function routeOn(lab: TestLab, router: string, prefix: string): string {
  return lab.mustInside(router, 'ip', 'route', 'show', prefix).trim()
}

function roles(lab: TestLab): string[] {
  return labProcesses(lab.name)
    .map(({ role }) => role)
    .filter((role) => role.startsWith('router-'))
    .toSorted()
}

function optionsFor(kind: RouterKind): string[] {
  return ['--racks', '2', '--router', kind, '--nodes', '4', '--pods', '1']
}

for (const kind of routerKinds) {
  const options = optionsFor(kind)

  test(`racks with ${kind}: nodes of different racks reach each other over what the routers learned; down leaves nothing`, () => {
    const lab = new TestLab()
    {
      using _up = lab
      lab.up(...options)
      assert.deepEqual(
        roles(lab),
        ['rack-1', 'rack-2', 'spine'].flatMap((router) => daemons[kind](router).all),
      )
      for (const router of ['router', 'rack-1']) assert.match(routeOn(lab, router, '172.30.2.0/24'), /proto (bird|bgp)/)
      for (const addr of ['172.30.2.12', 'fd30:0:0:2::c', '172.30.255.1'])
        lab.mustInside('node-1', 'ping', '-c1', '-W3', addr)
      const labels = ['causeway.dev/rack', 'topology.kubernetes.io/zone'].map((key) =>
        key.replaceAll('.', String.raw`\.`),
      )
      const shown = labels.map((key) => `{.metadata.labels.${key}}`).join(' ')
      assert.equal(lab.kubectl('get', 'node', 'node-2', '-o', `jsonpath=${shown}`), '2 rack-2')
    }
    assert.deepEqual(roles(lab), [])
    assert.doesNotMatch(must('ip', 'netns'), new RegExp(`cw-${lab.name}-`))
  })
}

test('no packet is lost while the daemon of a router is dead; up brings it back', async () => {
  using lab = new TestLab()
  const options = optionsFor('bird')
  lab.up(...options)
  const addrs = ['172.30.2.12', 'fd30:0:0:2::c']
  const count = () => addrs.map((addr) => countPackets(`cw-${lab.name}-node-1`, addr, 200, 0.01))
  const flows = count()
  const { speaker } = daemons.bird('rack-1')
  lab.kill(speaker)
  await eventually('the end of the daemon', () => lab.pids(speaker).length === 0)
  for (const flow of flows) assert.deepEqual(await flow.finish(), { sent: 200, lost: 0 })
  const status = run(causeway, ['lab', 'status', '--name', lab.name])
  assert.equal(status.status, 1)
  assert.match(status.stdout, new RegExp(`! ${speaker} is not running`))
  lab.up(...options)
  assert.equal(lab.pids(speaker).length, 1)
  await recovered(lab, 'bird', 3, 'node-1', addrs)
  for (const flow of count()) assert.deepEqual(await flow.finish(), { sent: 200, lost: 0 })
})

test('BIRD comes back without the loss of a packet: its routes stay in the kernel until it knows them again', async () => {
  using lab = new TestLab()
  const options = ['--racks', '2', '--nodes', '2', '--pods', '1']
  lab.up(...options)
  const addrs = ['172.30.2.12', 'fd30:0:0:2::c']
  const flows = addrs.map((addr) => countPackets(`cw-${lab.name}-node-1`, addr, Infinity, 0.01))
  lab.kill('router-rack-1')
  lab.up(...options)
  await recovered(lab, 'bird', 2, 'node-1', addrs)
  for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
})

test('a lab with racks grows and shrinks, and its routers know the new nodes', () => {
  using lab = new TestLab()
  const options = ['--racks', '2', '--pods', '1', '--families', 'ipv4']
  const neighbours = (): string[] => {
    const protocols = birdc(lab, 'rack-1', 'show', 'protocols')
    return [...protocols.matchAll(/^(node_\d+) /gm)].map(([, name]) => name!)
  }
  lab.up(...options, '--nodes', '2')
  assert.deepEqual(neighbours(), ['node_1'])
  lab.up(...options, '--nodes', '3')
  assert.deepEqual(neighbours(), ['node_1', 'node_3'])
  lab.mustInside('node-3', 'ping', '-c1', '-W3', '172.30.2.12')
  lab.up(...options, '--nodes', '1')
  assert.deepEqual(neighbours(), ['node_1'])
})

test('two routers in each rack: nodes and spine use both', () => {
  using lab = new TestLab()
  lab.up('--racks', '2', '--tors', '2', '--nodes', '2', '--pods', '1')
  for (const [place, prefix, hops] of [
    ['node-1', 'default', ['172.30.1.1', '172.30.1.2']],
    ['router', '172.30.2.0/24', ['172.30.0.5', '172.30.0.7']],
  ] as const) {
    const route = routeOn(lab, place, prefix)
    for (const hop of hops) assert.match(route, new RegExp(`nexthop via ${hop.replaceAll('.', String.raw`\.`)} `))
  }
  lab.mustInside('node-1', 'ping', '-c1', '-W3', '172.30.2.12')
})

test('IPv6 alone, over FRR, with BFD and jumbo frames', () => {
  using lab = new TestLab()
  lab.up(
    '--racks',
    '2',
    '--router',
    'frr',
    '--bfd',
    '--families',
    'ipv6',
    '--mtu',
    '9000',
    '--nodes',
    '2',
    '--pods',
    '1',
  )
  const ping = (bytes: number) =>
    lab.inside('node-1', 'ping', '-M', 'do', '-c1', '-W1', '-s', String(bytes - 48), 'fd30:0:0:2::c').status
  assert.equal(ping(9000), 0)
  assert.equal(roles(lab).filter((role) => role.endsWith('-bfdd')).length, 3)
})
