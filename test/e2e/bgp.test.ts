// BGP between a lab's nodes, as their users see it: sessions, routes, passwords, drains, and restarts that lose nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BgpAdvertisedReport, type BgpPeersReport, type BgpRoutesReport } from '#/api/schemas/bgp.ts'
import { type PeerStatus } from '#/model/bgp.ts'
import { causeway, countPackets, eventually, must, run, TestLab } from './harness.ts'

const options = ['--nodes', '3', '--pods', '1', '--routing', 'native']
const afterRestartMs = 90_000

/** What one node's agent answers to `causeway bgp VERB`. */
function ask(lab: TestLab, node: string, verb: 'peers' | 'routes' | 'advertised'): unknown {
  const { stdout, stderr } = run(causeway, ['bgp', verb, '--json', '--lab', lab.name, '--node', node])
  const [answer] = JSON.parse(stdout) as { value?: unknown; error?: string }[]
  assert.ok(answer?.value, `${node}: ${answer?.error}${stderr}`)
  return answer.value
}

function peers(lab: TestLab, node: string): readonly PeerStatus[] {
  return (ask(lab, node, 'peers') as BgpPeersReport).peers
}

function routesOf(lab: TestLab, node: string): BgpRoutesReport['routes'] {
  return (ask(lab, node, 'routes') as BgpRoutesReport).routes
}

function areUp(lab: TestLab, node: string, count: number): boolean {
  const all = peers(lab, node)
  return all.length === count && all.every(({ state }) => state === 'Established')
}

async function up(lab: TestLab) {
  const report = lab.up(...options)
  for (const { name } of report.nodes) await eventually(`sessions of ${name}`, () => areUp(lab, name, 2))
  return report
}

function cidrsOf(nodes: { name: string; podCIDRs: string[] }[], name: string): string[] {
  return nodes.find((node) => node.name === name)!.podCIDRs
}

/** The prefixes that a node has learned from another. */
function learned(lab: TestLab, node: string, from: string): string[] {
  return routesOf(lab, node)
    .flatMap(({ peer, prefix }) => (peer === `node/${from}` ? [prefix] : []))
    .sort()
}

test('nodes of a mesh tell each other their pod CIDRs; all of it can be looked at', async () => {
  using lab = new TestLab()
  const { nodes } = await up(lab)
  const cidrs = cidrsOf(nodes, 'node-2').sort()
  await eventually("node-2's pod CIDRs at node-1", () => learned(lab, 'node-1', 'node-2').join() === cidrs.join())
  await eventually('every route in the kernel', () => {
    const others = routesOf(lab, 'node-1').filter(({ peer }) => peer !== '(own)')
    return others.length === 4 && others.every(({ kernel }) => kernel?.isInstalled === true)
  })
  const wanted = cidrsOf(nodes, 'node-1').flatMap((cidr) => [`${cidr} node/node-2`, `${cidr} node/node-3`])
  await eventually("node-1's pod CIDRs told to both", () => {
    const { routes } = ask(lab, 'node-1', 'advertised') as BgpAdvertisedReport
    return (
      routes
        .map(({ prefix, peer }) => `${prefix} ${peer}`)
        .sort()
        .join() === wanted.sort().join()
    )
  })
  const text = must(causeway, 'bgp', 'routes', '--explain', '--lab', lab.name, '--node', 'node-1')
  assert.match(text, /10\.244\.1\.0\/24 +172\.30\.1\.12 +node\/node-2 .*best, installed +the only path/)
  const one = must(causeway, 'bgp', 'routes', '--lab', lab.name, '--node', 'node-1', '--prefix', '10.244.1.0/24')
  assert.equal(one.trim().split('\n').length, 3)
  assert.match(
    run(causeway, ['bgp', 'routes', '--lab', lab.name, '--prefix', '10.244.1.7/24']).stderr,
    /--prefix: "10\.244\.1\.7\/24" has host bits set; did you mean 10\.244\.1\.0\/24\?/,
  )
  await eventually(
    'the BGPNode of node-1',
    () => lab.kubectl('get', 'bgpnode', 'node-1', '--ignore-not-found', '-o', 'jsonpath={.status.established}') === '2',
    afterRestartMs,
  )
  const metrics = lab.askAgent('node-1', '/metrics')
  assert.match(metrics, /causeway_bgp_session_established\{peer="node\/node-2"\} 1/)
  assert.match(metrics, /causeway_bgp_routes_learned 4/)
})

test('a node that is drained withdraws all at once, and a node that goes is no neighbour any more', async () => {
  using lab = new TestLab()
  const { nodes } = await up(lab)
  await eventually('the BGPNode', () => lab.kubectl('get', 'bgpnodes', '-o', 'name').includes('node-2'), afterRestartMs)
  const drain = (isDrained: boolean) =>
    lab.kubectl('patch', 'bgpnode', 'node-2', '--type', 'merge', '-p', JSON.stringify({ spec: { drained: isDrained } }))
  drain(true)
  await eventually('nothing of node-2', () => learned(lab, 'node-1', 'node-2').length === 0)
  assert.ok(areUp(lab, 'node-2', 2), 'a drain ends no session')
  drain(false)
  await eventually('all of node-2', () => learned(lab, 'node-1', 'node-2').length === cidrsOf(nodes, 'node-2').length)
  lab.kubectl('delete', 'node', 'node-3', '--wait=false')
  await eventually('no neighbour node-3', () => peers(lab, 'node-1').every(({ name }) => name !== 'node/node-3'))
  assert.deepEqual(learned(lab, 'node-1', 'node-3'), [])
})

test('a mesh with a password has no session without its Secret, and comes up with it', async () => {
  using lab = new TestLab()
  await up(lab)
  const meshPasswordSecretRef = { name: 'bgp' }
  lab.kubectl(
    'patch',
    'bgpconfiguration',
    'default',
    '--type',
    'merge',
    '-p',
    JSON.stringify({ spec: { meshPasswordSecretRef } }),
  )
  await eventually('sessions that are kept down', () =>
    peers(lab, 'node-1').every(
      ({ state, lastError = '' }) => state === 'Idle' && lastError.includes('causeway-system/bgp'),
    ),
  )
  lab.kubectl('create', 'secret', 'generic', 'bgp', '-n', 'causeway-system', '--from-literal=password=')
  // whoever changes a Secret says so by touching an object: else it is read again in some seconds
  const touch = (value: string) =>
    lab.kubectl('annotate', 'bgpconfiguration', 'default', `touched=${value}`, '--overwrite')
  touch('1')
  await eventually('an empty password is none', () =>
    peers(lab, 'node-1').every(({ state, lastError = '' }) => state === 'Idle' && lastError.includes('empty')),
  )
  const data = { password: Buffer.from('secret').toString('base64') }
  lab.kubectl('patch', 'secret', 'bgp', '-n', 'causeway-system', '--type', 'merge', '-p', JSON.stringify({ data }))
  touch('2')
  for (const node of ['node-1', 'node-2', 'node-3'])
    await eventually(`sessions of ${node}`, () => areUp(lab, node, 2), afterRestartMs)
})

test('an agent that is stopped or killed and started again loses no packet and no route', async () => {
  using lab = new TestLab()
  const { pods, nodes } = await up(lab)
  const { addrs } = pods.find(({ node }) => node === 'node-2')!
  const flows = addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-web-1`, addr, Infinity, 0.01))
  const cidr = cidrsOf(nodes, 'node-2')[0]!
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const pid of lab.pids('agent-node-2')) process.kill(pid, signal)
    await eventually('the end of the agent', () => lab.pids('agent-node-2').length === 0)
    await eventually('its neighbour knows', () =>
      peers(lab, 'node-1').some(({ name, gracefulRestart }) => name === 'node/node-2' && gracefulRestart === 'helping'),
    )
    assert.ok(
      routesOf(lab, 'node-1').some(({ prefix, isStale, isBest }) => prefix === cidr && isStale && isBest),
      `${cidr} is not kept`,
    )
    lab.up(...options)
    await eventually('sessions', () => areUp(lab, 'node-2', 2), afterRestartMs)
    await eventually('no stale route', () => routesOf(lab, 'node-1').every(({ isStale }) => !isStale))
  }
  for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
})

test('route reflectors by label: one that dies and one that is taken back cost no packet', async (t) => {
  using lab = new TestLab()
  const { pods } = lab.up('--nodes', '4', '--pods', '1', '--routing', 'native')
  const label = 'causeway.dev/route-reflector'
  const isReflector = (node: string, is: boolean) => lab.kubectl('label', 'node', node, is ? `${label}=` : `${label}-`)
  isReflector('node-1', true)
  isReflector('node-2', true)
  const reflectors = { nodeSelector: { matchLabels: { [label]: '' } } }
  const patch = JSON.stringify({ spec: { nodeMesh: 'Auto', reflectors } })
  lab.kubectl('patch', 'bgpconfiguration', 'default', '--type', 'merge', '-p', patch)
  const clientsHave = async (...names: readonly string[]) => {
    for (const client of ['node-3', 'node-4'])
      await eventually(`${client} speaks with ${names.join(' and ')} alone`, () => {
        const all = peers(lab, client)
        const wanted = names.map((name) => `node/${name}`).join()
        return all.map(({ name }) => name).join() === wanted && all.every(({ state }) => state === 'Established')
      })
  }
  await clientsHave('node-1', 'node-2')
  const { addrs } = pods.find(({ node }) => node === 'node-4')!
  const flows = addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-web-3`, addr, Infinity, 0.01))
  const toNode4 = () => routesOf(lab, 'node-3').filter(({ prefix, isBest }) => prefix === '10.244.3.0/24' && isBest)
  await eventually('the way to node-4', () => toNode4().some(({ nextHops }) => nextHops.includes('172.30.1.14')))
  lab.kill('agent-node-1')
  await eventually('node-3 knows', () => peers(lab, 'node-3').some(({ state }) => state !== 'Established'))
  assert.equal(toNode4().length, 1)
  // not by "lab up", which has a mesh of all again
  const agent = lab.startAgent('node-1')
  t.after(() => agent.kill('SIGTERM'))
  await clientsHave('node-1', 'node-2')
  isReflector('node-2', false)
  await clientsHave('node-1')
  isReflector('node-3', true)
  await eventually('node-4 has another one', () => areUp(lab, 'node-4', 2))
  for (const flow of flows) assert.equal((await flow.stop()).lost, 0)
})
