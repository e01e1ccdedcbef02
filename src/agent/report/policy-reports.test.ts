import assert from 'node:assert/strict'
import { test } from 'node:test'
import { strictMismatchOf } from '#/api/read.ts'
import { policyListReport, policyWhyReport, type PolicyWhyRequest, type ToldPair } from '#/api/schemas/policy.ts'
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { resolveEnd } from './policy-names.ts'
import { policyListOf } from './policy-list.ts'
import { type PolicySources } from './policy-sources.ts'
import { policyWhyOf } from './policy-why.ts'
import { sceneCluster, sceneSources } from './testing/policy-scene.ts'

async function pairsOf(wish: PolicyWhyRequest, sources: PolicySources = sceneSources()): Promise<readonly ToldPair[]> {
  const report = await policyWhyOf(sources, wish)
  if (typeof report === 'string') assert.fail(report)
  assert.equal(strictMismatchOf(policyWhyReport, report), undefined)
  return report.pairs
}

test('why a packet is denied, with what this kernel has', async () => {
  const [four, six, ...more] = await pairsOf({ from: 'shop/web-1', to: 'db/pg-0', port: '5432' })
  assert.deepEqual(more, [])
  assert.equal(six!.from.addr, 'fd00:1::5')
  assert.equal(four!.isDropped, true)
  assert.deepEqual([four!.protocol, four!.port, four!.ports], ['TCP', 5432, undefined])
  assert.deepEqual(four!.from, {
    addr: '10.244.1.5',
    pod: 'shop/web-1',
    node: 'node-1',
    labels: ['app=web'],
    namespaceLabels: ['team=shop'],
  })
  const { ingress, egress } = four!
  assert.equal(egress.isDenied, false)
  assert.equal(egress.kernel, undefined, 'the other node has it')
  assert.deepEqual([ingress.pod, ingress.node, ingress.isDenied], ['db/pg-0', 'node-2', true])
  assert.deepEqual(ingress.kernel, {
    isThere: true,
    text: 'table inet causeway-policy, chain in-c1: 12 packets denied',
    denied: 12,
  })
  assert.equal(ingress.policies[0]!.rules[0]!.isMatch, false)
  assert.ok(ingress.changes.length > 0)
  assert.match(ingress.changes[0]!.what, /web-1/)
})

test('without a port: which are allowed, and rules say what they ask of ports', async () => {
  const [pair] = await pairsOf({ from: 'api-1', to: '10.244.2.7' })
  assert.deepEqual(
    pair!.ports?.map(({ protocol, ranges, isAllowed }) => [protocol, isAllowed, ranges]),
    [
      ['TCP', true, [{ first: 5432, last: 5432 }]],
      ['UDP', false, []],
      ['SCTP', false, []],
      ['ICMP', false, undefined],
    ],
  )
  assert.deepEqual(pair!.ingress.policies[0]!.rules[0]!.ports, [{ isMatch: false, text: 'TCP 5432' }])
  const [ping] = await pairsOf({ from: 'api-1', to: 'db/pg-0', protocol: 'icmp' })
  assert.deepEqual([ping!.protocol, ping!.isDropped, ping!.ports], ['ICMP', true, undefined])
})

test('a kernel that has something else is told, and so is one that does not answer', async () => {
  const textWith = async (changes: Partial<PolicySources>): Promise<string> => {
    const [pair] = await pairsOf({ from: 'shop/web-1', to: 'db/pg-0', port: '5432' }, sceneSources(changes))
    const { kernel } = pair!.ingress
    assert.equal(kernel?.isThere, false)
    return kernel.text
  }
  const addr = Addr.parse('10.244.2.7')
  const found = (chain: string | undefined, isChainThere = true): Partial<PolicySources> => ({
    podInKernel: async () => ({
      addrs: [{ direction: 'ingress', addr, isChainThere, ...(chain !== undefined && { chain }) }],
    }),
  })
  assert.equal(
    await textWith(found(undefined)),
    'table inet causeway-policy has 10.244.2.7 in none of the sets of its chain ingress4',
  )
  assert.match(await textWith(found('in-c9')), /leads 10\.244\.2\.7 to chain in-c9, and not to in-c1/)
  assert.match(await textWith(found('in-c1', false)), /has no rules in chain in-c1$/)
  const dormant = { obstacle: 'table inet causeway-policy is dormant', addrs: [] }
  assert.equal(await textWith({ podInKernel: async () => dormant }), dormant.obstacle)
  assert.equal(await textWith({ podInKernel: () => Promise.reject(new Error('EPERM')) }), 'EPERM')
  // a pod that no policy selects has nothing in the kernel, and nothing is said of it
  const [free] = await pairsOf({ from: 'shop/web-1', to: 'shop/pg-0', port: '80' }, sceneSources(found(undefined)))
  assert.equal(free!.ingress.kernel, undefined)
})

test('ends are addresses, pods by whole name, in default or the only one, and nodes', () => {
  const cluster = sceneCluster()
  const agent = {
    ...cluster.pods.get('shop/web-1')!,
    name: 'agent',
    addrs: [Addr.parse('172.30.1.11')],
    isHostNetwork: true,
  }
  const view = viewOf({ ...cluster, pods: new Map([...cluster.pods, ['shop/agent', agent]]) })
  const named = (text: string, role: 'sender' | 'receiver' = 'receiver'): string => {
    const end = resolveEnd(view, text, role)
    return 'unknown' in end ? end.unknown : end.addrs.join(' ')
  }
  assert.equal(named('192.0.2.1'), '192.0.2.1')
  assert.equal(named('db/pg-0'), '10.244.2.7 fd00:2::7')
  assert.equal(named('web-1'), '10.244.1.5 fd00:1::5')
  assert.equal(named('node-1'), '172.30.1.11 10.244.1.1')
  // what a node sends to pods has the address of its gateway
  assert.equal(named('node-1', 'sender'), '10.244.1.1 172.30.1.11')
  assert.equal(named('agent', 'sender'), '10.244.1.1 172.30.1.11')
  assert.equal(named('pg-0'), '"pg-0" is the name of several pods: db/pg-0, shop/pg-0; say which')
  assert.match(named('postgres'), /^"postgres" is no address, no pod .* and no node$/)
})

test('ends that cannot meet have no answer', async () => {
  const wish = { from: 'shop/pg-0' }
  const why = async (to: string): Promise<string> => {
    const report = await policyWhyOf(sceneSources(), { ...wish, to })
    return typeof report === 'string' ? report : assert.fail('it has an answer')
  }
  assert.match(await why('fd00:2::7'), /no address of the same family/)
  assert.match(await why('nobody'), /^"nobody" is no address, .* and no node; for a Service ask about one of its pods/)
})

test('what is listed: policies with counters and faults, pods with what selects them', async () => {
  const report = await policyListOf(sceneSources({ view: viewOf(sceneCluster({ isAudited: true })) }))
  assert.equal(strictMismatchOf(policyListReport, report), undefined)
  const [onlyApi, typo] = report.policies
  assert.deepEqual(onlyApi, {
    policy: 'networkpolicy/db/only-api',
    tier: 'NetworkPolicy',
    subject: 'pods app=pg in namespace db',
    pods: 1,
    podsHere: 1,
    rules: [
      {
        direction: 'ingress',
        index: 0,
        action: 'accept',
        text: 'pods app=api in namespaces team=shop; TCP 5432',
        connections: 4,
      },
    ],
    faults: [],
  })
  assert.deepEqual([typo!.policy, typo!.pods, typo!.faults.length], ['networkpolicy/shop/typo', 0, 1])
  assert.equal(typo!.faults[0]!.field, 'spec.ingress[0].from[0].ipBlock.cidr')
  assert.deepEqual(report.pods, [
    {
      pod: 'db/pg-0',
      addrs: ['10.244.2.7', 'fd00:2::7'],
      ingress: { policies: ['networkpolicy/db/only-api'], class: 'c1', isAudited: false, denied: 12 },
    },
    { pod: 'shop/pg-0', addrs: ['10.244.2.8'] },
  ])
  assert.deepEqual(report.auditedNamespaces, ['db'])
  assert.deepEqual(report.refused, [{ why: 'not an address of the pod (IPv4)', packets: 2 }])
})
