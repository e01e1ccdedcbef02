import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PolicyPod } from '../cluster.ts'
import { evaluate } from '../evaluate.ts'
import { type FormChange } from '../form.ts'
import { type Policy, type PolicyRule } from '../policy.ts'
import { type LocalPod, PolicyIndex } from './policy-index.ts'

const addr = (last: number): Addr => Addr.parse(`10.244.0.${last}`)

function pod(name: string, app: string, last: number | undefined, more: Partial<PolicyPod> = {}): PolicyPod {
  return {
    namespace: 'shop',
    name,
    uid: `uid-${name}`,
    node: 'node-1',
    labels: { app },
    addrs: last === undefined ? [] : [addr(last)],
    namedPorts: [],
    isHostNetwork: false,
    hasEnded: false,
    ...more,
  }
}

function local(name: string, last: number, more: Partial<LocalPod> = {}): LocalPod {
  return { hostDevice: `cwv-${name}`, namespace: 'shop', name, uid: `uid-${name}`, addrs: [addr(last)], ...more }
}

const app = (value: string): PolicyRule['peers'] => [
  {
    kind: 'pods',
    namespaces: { kind: 'name', name: 'shop' },
    pods: [{ key: 'app', operator: 'In', values: [value] }],
  },
]

function policy(name: string, subject: string, ingress: readonly Partial<PolicyRule>[]): Policy {
  return {
    key: `networkpolicy/shop/${name}`,
    tier: 'NetworkPolicy',
    priority: 0,
    subject: { namespaces: { kind: 'name', name: 'shop' }, pods: [{ key: 'app', operator: 'In', values: [subject] }] },
    rules: {
      ingress: ingress.map((rule, index) => ({ index, action: 'accept', peers: 'any', ports: 'any', ...rule })),
    },
  }
}

/** The shop's database, which is on this node, may be asked by the web. */
function shop(mostKept = 0): PolicyIndex {
  const index = new PolicyIndex(mostKept)
  index.setNamespace({ name: 'shop', labels: {}, isAudited: false })
  index.setPod(pod('db', 'db', undefined))
  index.setPod(pod('web', 'web', 1))
  index.setLocal(local('db', 9))
  index.setPolicy(policy('db', 'db', [{ peers: app('web') }]))
  index.take()
  return index
}

const onlySet = (index: PolicyIndex): string => [...index.form.peerSets.keys()][0]!
const membersOf = (index: PolicyIndex): string[] => [...index.form.membersOf(onlySet(index)).keys()].sort()
const isNothing = (change: FormChange): boolean => Object.values(change).every((map) => map.size === 0)

function membersTaken(index: PolicyIndex): { added: string[]; removed: string[] } {
  const { members } = index.take()
  const { added, removed } = members.get(onlySet(index)) ?? { added: [], removed: [] }
  return { added: added.map(String), removed: removed.map(String) }
}

test('a family is told when a pod has an address of it for the first time, here or elsewhere', () => {
  const index = new PolicyIndex()
  const taken = (): number[] => [...index.take().newFamilies]
  index.setPod(pod('web', 'web', 1))
  assert.deepEqual(taken(), [4])
  index.setPod(pod('db', 'db', 2))
  index.setLocal({ ...local('db', 2), addrs: [addr(2), Addr.parse('fd10::2')] })
  assert.deepEqual(taken(), [6])
  index.removeLocal('cwv-db')
  assert.deepEqual(taken(), [])
  assert.deepEqual([...index.form.families], [4, 6])
})

test('what is told again, or is of no concern to pods here, changes nothing', () => {
  const index = shop()
  index.setPod(pod('web', 'web', 1))
  index.setPod(pod('db', 'db', undefined, { node: 'node-1' }))
  index.setPod(pod('other', 'other', 5))
  index.setNamespace({ name: 'shop', labels: {}, isAudited: false })
  index.setPolicy(policy('db', 'db', [{ peers: app('web') }]))
  index.setPolicy(policy('mail', 'mail', [{ peers: app('mail') }]))
  index.setLocal(local('db', 9))
  index.removePod('shop/none')
  index.removeLocal('cwv-none')
  index.removePolicy('networkpolicy/shop/none')
  assert.ok(isNothing(index.take()))
  assert.deepEqual(
    [...index.form.policies.values()].map((each) => each.policy),
    ['networkpolicy/shop/db'],
  )
})

test('a pod that comes and goes between two looks is no change, and one with other labels is one element', () => {
  const index = shop()
  index.setPod(pod('web-2', 'web', 2))
  index.removePod('shop/web-2')
  assert.ok(isNothing(index.take()))
  index.setPod(pod('web', 'none', 1))
  assert.deepEqual(membersTaken(index), { added: [], removed: ['10.244.0.1'] })
  index.setPod(pod('web', 'web', 1))
  const { members, ...rest } = index.take()
  assert.equal(members.size, 1)
  assert.ok(Object.values(rest).every((map) => map.size === 0))
})

test('an address is a member while any pod that matches has it', () => {
  const index = shop()
  index.setPod(pod('web-2', 'web', 1))
  assert.ok(isNothing(index.take()))
  index.removePod('shop/web')
  assert.ok(isNothing(index.take()))
  index.setPod(pod('web-2', 'web', 1, { hasEnded: true }))
  assert.deepEqual(membersTaken(index), { added: [], removed: ['10.244.0.1'] })
})

test('an address that an interface of this node has is only that pod’s, whatever the API still says', () => {
  const index = shop()
  // the pod that is to come is not known yet
  index.setLocal(local('new', 1))
  assert.deepEqual(membersTaken(index), { added: [], removed: ['10.244.0.1'] })
  assert.equal(index.podAt(addr(1)), undefined)
  index.setPod(pod('new', 'other', undefined))
  assert.deepEqual(membersTaken(index), { added: [], removed: [] })
  assert.equal(index.podAt(addr(1))?.name, 'new')
  index.removeLocal('cwv-new')
  assert.deepEqual(membersTaken(index), { added: ['10.244.0.1'], removed: [] })
  index.setLocal(local('unknown', 1))
  index.take()
  index.removeLocal('cwv-unknown')
  assert.deepEqual(membersTaken(index), { added: ['10.244.0.1'], removed: [] })
})

test('a pod here has the addresses of its interface, and is a peer by them', () => {
  const index = shop()
  index.setPod(pod('web', 'web', 7))
  index.setLocal(local('web', 1))
  assert.ok(isNothing({ ...index.take(), locals: new Map() }))
  assert.deepEqual(membersOf(index), ['10.244.0.1'])
  index.removeLocal('cwv-web')
  assert.deepEqual(membersTaken(index), { added: ['10.244.0.7'], removed: ['10.244.0.1'] })
})

test('an interface whose pod is not known has no class; one whose pod is gone keeps what policies say of it', () => {
  const index = shop()
  const classOf = (hostDevice: string): string | undefined => index.form.locals.get(hostDevice)?.ingress
  index.setLocal(local('late', 3))
  index.take()
  assert.equal(classOf('cwv-late'), undefined)
  assert.equal(index.hasLabelsOf('shop', 'late', 'uid-late'), false)
  index.setPod(pod('late', 'db', undefined))
  index.take()
  assert.ok(classOf('cwv-late'))
  assert.equal(classOf('cwv-late'), classOf('cwv-db'))
  assert.equal(index.hasLabelsOf('shop', 'late', 'uid-late'), true)

  index.removePod('shop/db')
  assert.ok(isNothing(index.take()))
  assert.equal(index.podAt(addr(9))?.name, 'db')
  // one that came after it by the same name is another pod
  index.setPod(pod('db', 'other', undefined, { uid: 'uid-db-2', node: 'node-2' }))
  assert.equal(index.hasLabelsOf('shop', 'db', 'uid-db'), false)
  assert.ok(isNothing(index.take()))
  index.setPolicy(policy('more', 'db', []))
  assert.equal(index.take().classes.size, 2)
  index.removeLocal('cwv-db')
  index.removeLocal('cwv-late')
  const { locals, policies, classes, peerSets } = index.take()
  assert.deepEqual(
    [...locals.values(), ...policies.values(), ...classes.values(), ...peerSets.values()].filter(Boolean),
    [],
  )
  assert.deepEqual([locals.size, policies.size, classes.size, peerSets.size], [2, 2, 1, 1])
})

test('a class stays for the next pod after its last one went, and so do its policies and sets', () => {
  const index = shop(10)
  const whole = [index.form.classes.size, index.form.policies.size, index.form.peerSets.size]
  const isKept = (): boolean =>
    [index.form.classes.size, index.form.policies.size, index.form.peerSets.size].join() === whole.join()
  index.removeLocal('cwv-db')
  index.removePod('shop/db')
  const gone = index.take()
  assert.deepEqual([gone.locals.size, gone.classes.size, gone.policies.size], [1, 0, 0])
  assert.ok(isKept())
  // members and rules follow meanwhile
  index.setPod(pod('web-2', 'web', 2))
  assert.deepEqual(membersTaken(index), { added: ['10.244.0.2'], removed: [] })
  // a pod with other labels, and the same policies
  index.setPod(pod('db-2', 'db', undefined, { labels: { app: 'db', version: '2' } }))
  index.setLocal(local('db-2', 10))
  const come = index.take()
  assert.deepEqual([come.locals.size, come.classes.size, come.policies.size], [1, 0, 0])
  index.removeLocal('cwv-db-2')
  index.removePolicy('networkpolicy/shop/db')
  index.take()
  assert.deepEqual([index.form.classes.size, index.form.policies.size, index.form.peerSets.size], [0, 0, 0])
})

test('classes that are kept have no more policies in all than is said, and the oldest goes first', () => {
  const index = shop(3)
  const apps = ['a', 'b', 'c', 'd']
  for (const [number, each] of apps.entries()) {
    index.setPod(pod(each, each, undefined))
    index.setPolicy(policy(`${each}-1`, each, []))
    index.setLocal(local(each, 20 + number))
  }
  index.take()
  for (const each of apps) index.removeLocal(`cwv-${each}`)
  index.take()
  const kept = (): string[] => [...index.form.policies.values()].map((form) => form.policy.split('/')[2]!).sort()
  assert.deepEqual(kept(), ['b-1', 'c-1', 'd-1', 'db'])
  index.setPolicy(policy('c-2', 'c', []))
  index.take()
  assert.deepEqual(kept(), ['c-1', 'c-2', 'd-1', 'db'])
  // one that is used again is not kept but there
  index.setLocal(local('c', 22))
  index.setPolicy(policy('d-2', 'd', []))
  index.setPolicy(policy('d-3', 'd', []))
  index.setPolicy(policy('d-4', 'd', []))
  index.take()
  assert.deepEqual(kept(), ['c-1', 'c-2', 'db'])
})

test('no more than 32 kinds of pods have classes that are kept', () => {
  const index = shop(1000)
  const apps = Array.from({ length: 40 }, (_, number) => `app-${number}`)
  for (const [number, each] of apps.entries()) {
    index.setPod(pod(each, each, undefined))
    index.setPolicy(policy(each, each, []))
    index.setLocal(local(each, 20 + number))
  }
  for (const each of apps) index.removeLocal(`cwv-${each}`)
  index.take()
  const kept = [...index.form.policies.values()].map((form) => form.policy.split('/')[2]!)
  assert.deepEqual(kept.sort(), ['db', ...apps.slice(8)].sort())
})

test('a pod here that the API says has ended keeps what policies say of it as long as it has its interface', () => {
  const index = shop()
  const before = index.form.locals.get('cwv-db')?.ingress
  assert.ok(before)
  index.setPod(pod('db', 'db', undefined, { hasEnded: true }))
  assert.ok(isNothing(index.take()))
  assert.equal(index.form.locals.get('cwv-db')?.ingress, before)
  assert.equal(index.podAt(addr(9))?.name, 'db')
  assert.ok(evaluate(index, { src: addr(3), dst: addr(9), protocol: 6, port: 80 }).isDropped)
  index.removeLocal('cwv-db')
  assert.equal(index.take().locals.get('cwv-db'), undefined)
  assert.equal(index.podAt(addr(9)), undefined)
})

test('a static pod is known by its configuration’s UID, and any pod of the name when the runtime says none', () => {
  const index = shop()
  index.setPod(pod('proxy', 'db', undefined, { configUid: 'hash' }))
  index.setLocal(local('proxy', 4, { uid: 'hash' }))
  index.setLocal(local('web', 1, { uid: '' }))
  index.setPolicy(policy('web', 'web', []))
  index.take()
  assert.ok(index.form.locals.get('cwv-proxy')?.ingress)
  assert.ok(index.form.locals.get('cwv-web')?.ingress)
  assert.ok(index.hasLabelsOf('shop', 'proxy', 'hash'))
})

test('labels of a namespace that is not known are not known either', () => {
  const index = shop()
  index.setPod(pod('early', 'db', undefined, { namespace: 'new' }))
  assert.equal(index.hasLabelsOf('new', 'early', 'uid-early'), false)
  index.setNamespace({ name: 'new', labels: {}, isAudited: false })
  assert.equal(index.hasLabelsOf('new', 'early', 'uid-early'), true)
})

test('named ports: those of pods here for ingress, of all pods for egress, each once', () => {
  const index = new PolicyIndex()
  const namedPorts = [{ name: 'http', protocol: 'TCP' as const, port: 80 }]
  index.setPod(pod('web', 'web', 1, { namedPorts: [...namedPorts, ...namedPorts] }))
  index.setPod(pod('web-2', 'web', 3, { namedPorts: [...namedPorts, ...namedPorts] }))
  index.setPod(pod('far', 'web', 2, { namedPorts }))
  index.setPod(pod('far-2', 'web', 2, { namedPorts }))
  index.setLocal(local('web', 1))
  const ports = [{ kind: 'name' as const, name: 'http' }]
  const { rules, ...rest } = policy('web', 'web', [{ ports }])
  index.setPolicy({ ...rest, rules: { ...rules, egress: rules.ingress! } })
  index.take()
  const { namedPortSets, namedPortsOf } = index.form
  const members = [...namedPortSets.values()].map(({ id, isLocal }) => [
    isLocal === true,
    namedPortsOf(id)
      .map((member) => `${member.addr} ${member.protocol} ${member.port}`)
      .sort(),
  ])
  assert.deepEqual(
    members.sort(([one], [other]) => Number(one) - Number(other)),
    [
      [false, ['10.244.0.1 TCP 80', '10.244.0.2 TCP 80', '10.244.0.3 TCP 80']],
      [true, ['10.244.0.1 TCP 80']],
    ],
  )
  index.removePod('shop/far')
  assert.ok(isNothing(index.take()))
  index.removePod('shop/far-2')
  assert.equal(index.take().namedPorts.size, 1)
})

test('audit is of the class, and so of pods', () => {
  const index = shop()
  index.setNamespace({ name: 'shop', labels: {}, isAudited: true })
  const { classes, locals, ...rest } = index.take()
  assert.deepEqual(
    [...classes.values()].flatMap((each) => each?.isAudited ?? []),
    [true],
  )
  assert.equal(locals.size, 1)
  assert.ok(Object.values(rest).every((map) => map.size === 0))
})

test('pods that the same policies select are audited each by its namespace', () => {
  const index = new PolicyIndex()
  index.setPolicy({
    key: 'clusternetworkpolicy/all',
    tier: 'Admin',
    priority: 0,
    subject: { namespaces: { kind: 'labels', selector: [] }, pods: [] },
    rules: { egress: [{ index: 0, action: 'deny', peers: 'any', ports: 'any' }] },
  })
  for (const [name, isAudited] of [
    ['one', true],
    ['two', false],
  ] as const) {
    index.setNamespace({ name, labels: {}, isAudited })
    index.setPod(pod('web', 'web', undefined, { namespace: name }))
    index.setLocal(local('web', 1, { hostDevice: name, namespace: name, addrs: [] }))
  }
  index.take()
  const isAudited = (device: string): boolean =>
    index.form.classes.get(index.form.locals.get(device)!.egress!)!.isAudited
  assert.deepEqual([isAudited('one'), isAudited('two')], [true, false])
})

test('as a view it is level with every change, before changes are taken', () => {
  const index = shop()
  const isDropped = (): boolean => evaluate(index, { src: addr(1), dst: addr(9), protocol: 6, port: 80 }).isDropped
  assert.equal(isDropped(), false)
  index.setPolicy(policy('db', 'db', []))
  assert.equal(isDropped(), true)
  index.setPolicy(policy('more', 'db', [{}]))
  assert.equal(isDropped(), false)
  index.removePolicy('networkpolicy/shop/more')
  assert.equal(isDropped(), true)
  index.setPod(pod('db', 'other', undefined))
  assert.equal(isDropped(), false)
  const subject = {
    namespaces: { kind: 'labels', selector: [{ key: 'a', operator: 'Exists', values: [] }] },
    pods: [],
  } as const
  index.setPolicy({ ...policy('any', 'db', []), subject })
  assert.equal(isDropped(), false)
  index.setNamespace({ name: 'shop', labels: { a: '' }, isAudited: false })
  assert.equal(isDropped(), true)
  index.removeNamespace('shop')
  assert.equal(isDropped(), false)
})

test('a change of rules is a change of the policy, and leaves its class and sets alone', () => {
  const index = shop()
  const ports = [80, 81, 443].map((port) => ({
    kind: 'range' as const,
    protocol: 'TCP' as const,
    first: port,
    last: port,
  }))
  index.setPolicy(policy('db', 'db', [{ peers: app('web'), ports }]))
  const { policies, ...rest } = index.take()
  assert.ok(Object.values(rest).every((map) => map.size === 0))
  assert.deepEqual(
    [...policies.values()].map((each) => each?.rules[0]?.ports),
    [
      {
        ranges: [
          { protocol: 'TCP', first: 80, last: 81 },
          { protocol: 'TCP', first: 443, last: 443 },
        ],
        names: [],
      },
    ],
  )
})

test('names are the same in every run, and for the same meaning in other words', () => {
  const index = shop()
  const { peerSets, policies, classes } = index.form
  const ids = [peerSets, policies, classes].map((map) => [...map.keys()].join())
  assert.deepEqual(ids, ['113d25f1f1601b6d', '2c667fb623eb2893', '6ebc5e20e725c51c'])
  const [rule] = policy('db', 'db', [{ peers: app('web') }]).rules.ingress!
  const peers = [rule!.peers, rule!.peers].flatMap((each) => (each === 'any' ? [] : each))
  index.setPolicy(policy('db', 'db', [{ peers: [...peers, ...peers] }]))
  assert.ok(isNothing(index.take()))
})
