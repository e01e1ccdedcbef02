// The agent's side of policy in the eBPF datapath, with the real programs and real packets, and without any rule in the stack: whatever is denied
// here was denied by a program.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { Addr } from '#/lib/addr.ts'
import { type DeniedPacket, PolicyMaps, readDenied, ruleText } from '#/datapath/programs.ts'
import { notPoliced, policedValue } from '#/plan/policy-maps/entries.ts'
import { changeOf, tcp, TestForm } from '#/plan/policy/testing/form.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { readDenialPrefix } from '#/plan/policy/names.ts'
import { peerStruct, policyVerdicts, verdictKeyStruct, verdictStruct } from '#/wire/bpf/maps.ts'
import { EbpfNode, Flow } from './ebpf-node.ts'

const addrsOf = { one: ['10.244.1.2', 'fd10:244:0:1::2'], two: ['10.244.1.3', 'fd10:244:0:1::3'] } as const
const none = changeOf({})

/** Pod `two` may be asked by `friends` on TCP 7000, and by nobody else. */
function shop(device: string, ...friends: readonly string[]): TestForm {
  return new TestForm()
    .pods('friends', ...friends)
    .policy('only-7000', 'NetworkPolicy', 'ingress', { peers: ['friends'], ports: tcp(7000) })
    .class('in', 'ingress', ['only-7000'])
    .local(device, addrsOf.two, { ingress: 'in' })
}

class Policed implements AsyncDisposable {
  readonly node = new EbpfNode()
  readonly told: DeniedPacket[] = []
  maps: PolicyMaps

  private constructor() {
    this.maps = this.#open()
  }

  #open(): PolicyMaps {
    return new PolicyMaps({ ebpf: this.node.agent.ebpf, onDenied: (denied) => this.told.push(denied) })
  }

  static async make(): Promise<Policed> {
    const made = new Policed()
    await made.node.settle()
    return made
  }

  async restart(): Promise<void> {
    this.maps[Symbol.dispose]()
    await this.node.restart()
    this.maps = this.#open()
    await this.node.settle()
  }

  apply(form: Form, change: FormChange): void {
    this.maps.apply(form, change)
  }

  /** Packets that programs denied since the beginning. */
  get denied(): number {
    return readDenied(this.node.agent.ebpf.current!).reduce((sum, { packets }) => sum + packets, 0)
  }

  /** Whether a datagram from a pod is denied. */
  isDenied(id: string, addr: string, port = 53): boolean {
    const before = this.denied
    this.node.pods.get(id)!.sh(`bash -c 'echo x >/dev/udp/${addr}/${port}'`)
    return this.denied > before
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.maps[Symbol.dispose]()
    await this.node[Symbol.asyncDispose]()
  }
}

test('what policies deny ends at the device where it begins, and what they allow goes on', async () => {
  await using policed = await Policed.make()
  const { node } = policed
  const [one, two] = [node.add('one'), node.add('two')]
  node.add('three')
  // begun before the policy came: nobody but the agent ends it
  await using before = await Flow.start(one, two, '10.244.1.3', 8000)
  const form = shop(node.deviceOf('two'), ...addrsOf.one)
  assert.deepEqual(await policed.maps.compare(form), [
    'cw_peers4: 1 entry',
    'cw_peers6: 1 entry',
    'cw_verdicts: 3 entries',
    'cw_policed: classes of 1 pod',
  ])
  assert.deepEqual(await policed.maps.compare(form), [])
  for (const addr of addrsOf.two) {
    await using flow = await Flow.start(one, two, addr, 7000)
    await sleep(100)
    await flow.end()
  }
  await sleep(100)
  const { answers } = await before.end()
  assert.ok(answers > 20)
  assert.equal(policed.denied, 0)
  for (const addr of addrsOf.two)
    for (const id of ['one', 'three']) assert.ok(policed.isDenied(id, addr), `${id} ${addr}`)
  assert.ok(!policed.isDenied('two', addrsOf.one[0]))
  assert.deepEqual(
    readDenied(node.agent.ebpf.current!).map(({ rule }) => ruleText(rule)),
    Array(2).fill('networkpolicy/x/only-7000 ingress, none of its rules'),
  )
  // the agent is told of some
  await eventually(() => policed.told.length >= 4, 'programs tell of what they deny')
  const [first] = policed.told
  assert.deepEqual(readDenialPrefix(first!.prefix), {
    direction: 'ingress',
    class: 'ebpf',
    isAudited: false,
    rule: 'networkpolicy/x/only-7000 ingress, none of its rules',
  })
  assert.equal(first!.packet[0], 0x45)
  assert.deepEqual(
    policed.maps.objects.map(({ key, state }) => [key, state]),
    [['cw_verdicts', 'done']],
  )
})

test("one rule's flood is told in part, and hides no other's denial", async () => {
  await using policed = await Policed.make()
  const { node } = policed
  for (const id of ['one', 'two', 'three']) node.add(id)
  const form = shop(node.deviceOf('two'))
    .policy('nobody', 'NetworkPolicy', 'egress')
    .class('out', 'egress', ['nobody'])
    .local(node.deviceOf('three'), [], { egress: 'out' })
  await policed.maps.compare(form)
  const floodPackets = 500
  node.pods.get('one')!.sh(`bash -c 'for i in {1..${floodPackets}}; do echo x; done >/dev/udp/${addrsOf.two[0]}/53'`)
  assert.equal(policed.denied, floodPackets)
  assert.ok(policed.isDenied('three', addrsOf.one[0]))
  const rules = (): (string | undefined)[] => policed.told.map(({ prefix }) => readDenialPrefix(prefix)!.rule)
  const isTold = (): boolean => rules().some((rule) => rule?.startsWith('networkpolicy/x/nobody egress'))
  await eventually(isTold, 'the other rule is told')
  assert.ok(rules().length > 10 && rules().length < floodPackets / 2, `${rules().length} told`)
})

test('a change costs its own entries, and counts at once', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  const [one, two] = [node.add('one'), node.add('two')]
  const device = node.deviceOf('two')
  const form = shop(device)
  await maps.compare(form)
  const verdicts = node.entries('cw_verdicts').length
  assert.equal(verdicts, 1)
  // a member
  const friends = shop(device, ...addrsOf.one)
  const added = [...friends.membersOf('friends').values()]
  policed.apply(friends, changeOf({ members: new Map([['friends', { added, removed: [] }]]) }))
  {
    await using flow = await Flow.start(one, two, addrsOf.two[1], 7000)
    await flow.end()
  }
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
  // rules
  const open = shop(device, ...addrsOf.one).policy('only-7000', 'NetworkPolicy', 'ingress', {})
  policed.apply(open, changeOf({ policies: open.policies }))
  assert.ok(!policed.isDenied('one', addrsOf.two[0]))
  // no class any more, and nothing left but what is for the next one
  const free = new TestForm()
  policed.apply(
    free,
    changeOf({
      locals: new Map([[device, undefined]]),
      classes: new Map([['in', undefined]]),
      policies: new Map([['only-7000', undefined]]),
      peerSets: new Map([['friends', undefined]]),
    }),
  )
  assert.deepEqual([node.entries('cw_peers4'), node.entries('cw_peers6')], [[], []])
  await maps.compare(free)
  assert.deepEqual(node.entries('cw_verdicts'), [])
})

test('maps that are filled while members and rules change all the time end right', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  node.add('one')
  node.add('two')
  const device = node.deviceOf('two')
  const all = Array.from({ length: 4000 }, (_, index) => `10.245.${index >> 8}.${index & 255}`)
  const form = shop(device, ...all)
  const members = form.members.get('friends')!
  const fill = { isOver: false }
  const filled = maps.compare(form).finally(() => (fill.isOver = true))
  let changes = 0
  for (; !fill.isOver; changes++) {
    const addr = Addr.parse(all[changes % all.length]!)
    const isIn = members.delete(String(addr))
    if (!isIn) members.set(String(addr), addr)
    const member = { added: isIn ? [] : [addr], removed: isIn ? [addr] : [] }
    if (changes % 10 === 0)
      form.policy('only-7000', 'NetworkPolicy', 'ingress', { peers: ['friends'], ports: tcp(7000 + (changes % 50)) })
    const policies = changes % 10 === 0 ? { policies: new Map(form.policies) } : {}
    policed.apply(form, changeOf({ members: new Map([['friends', member]]), ...policies }))
    await sleep(0)
  }
  await filled
  assert.ok(changes > 10)
  assert.deepEqual(await maps.compare(form), [])
  assert.equal(node.entries('cw_peers4').length, members.size)
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
})

test('a change while an agent that has just started reads the maps is not lost', async () => {
  await using policed = await Policed.make()
  const { node } = policed
  node.add('one')
  node.add('two')
  const groups = Array.from({ length: 1500 }, (_, index) => ({
    id: `group-${index}`,
    addr: `10.245.${index >> 8}.${index & 255}`,
  }))
  const form = new TestForm()
  for (const { id, addr } of groups) form.pods(id, addr)
  form.policy('ports', 'NetworkPolicy', 'ingress', ...groups.map(({ id }) => ({ peers: [id], ports: tcp(7000, 9000) })))
  form.class('in', 'ingress', ['ports']).local(node.deviceOf('two'), addrsOf.two, { ingress: 'in' })
  await policed.maps.compare(form)
  await policed.restart()
  const reading = { isOver: false }
  const compared = policed.maps.compare(form).finally(() => (reading.isOver = true))
  let changes = 0
  for (; !reading.isOver; changes++) {
    const { id, addr } = groups[changes % groups.length]!
    form.pods(id)
    const member = { added: [], removed: [Addr.parse(addr)] }
    policed.apply(form, changeOf({ members: new Map([[id, member]]) }))
    await sleep(0)
  }
  await compared
  assert.ok(changes > 5 && changes < groups.length)
  assert.deepEqual(await policed.maps.compare(form), [])
  assert.equal(node.entries('cw_peers4').length, groups.length - changes)
})

test('a pod has its classes when its ADD is answered, and leaves none behind', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  node.add('one')
  node.add('two')
  const device = node.deviceOf('two')
  await maps.compare(shop(device))
  node.delete('two')
  const policedSlots = (): number => {
    const values = node.agent.ebpf.current!.map('cw_policed').entries()
    return values.filter(([, value]) => Buffer.compare(value, policedValue(notPoliced)) !== 0).length
  }
  assert.equal(policedSlots(), 0)
  node.add('two')
  assert.equal(node.deviceOf('two'), device)
  assert.equal(policedSlots(), 1)
  const [first] = node.agent.store.find({ containerId: 'two', ifName: 'eth0' })!.addrs
  assert.ok(policed.isDenied('one', String(first!.addr)))
  maps.dropLocal(device)
  assert.equal(policedSlots(), 0)
  assert.deepEqual(await maps.compare(shop(device)), ['cw_policed: classes of 1 pod'])
})

test('programs go on while the agent is away, and the next one takes them over', async () => {
  await using policed = await Policed.make()
  const { node } = policed
  const [one, two] = [node.add('one'), node.add('two')]
  const form = shop(node.deviceOf('two'), ...addrsOf.one)
  await policed.maps.compare(form)
  await policed.restart()
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
  // nothing is known of policies yet: no change touches what is there
  policed.apply(form, none)
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
  await policed.maps.compare(form)
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
  assert.deepEqual(await policed.maps.compare(form), [])
  await using flow = await Flow.start(one, two, addrsOf.two[0], 7000)
  await flow.end()
})

test('without programs there is nothing to do, and with them again all is filled', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  const [one, two] = [node.add('one'), node.add('two')]
  const form = shop(node.deviceOf('two'), ...addrsOf.one)
  await maps.compare(form)
  node.wanted = 'bridge'
  await node.settle()
  assert.equal(node.agent.ebpf.current, undefined)
  policed.apply(form, none)
  assert.deepEqual(await maps.compare(form), [])
  assert.deepEqual(maps.objects, [])
  node.wanted = 'ebpf'
  await node.settle()
  policed.apply(form, none)
  assert.ok(!policed.isDenied('one', addrsOf.two[0]))
  await maps.compare(form)
  assert.ok(policed.isDenied('one', addrsOf.two[0]))
  await using flow = await Flow.start(one, two, addrsOf.two[0], 7000)
  await flow.end()
})

test('what somebody changes in the maps is put right', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  node.add('one')
  node.add('two')
  const form = shop(node.deviceOf('two'), ...addrsOf.one)
  await maps.compare(form)
  const generation = node.agent.ebpf.current!
  const damage = (work: () => void): void => work()
  for (const [what, lines] of [
    [
      () =>
        generation
          .map('cw_peers4')
          .entries()
          .forEach(([key]) => generation.map('cw_peers4').delete(key)),
      ['cw_peers4: 1 entry'],
    ],
    [
      () => {
        const [key] = generation.map('cw_peers6').entries()[0]!
        generation.map('cw_peers6').set(key, peerStruct.encode({ kind: 77 }))
      },
      ['cw_peers6: 1 entry'],
    ],
    [
      () => {
        const key = verdictKeyStruct.encode({ length: 96, class: 1, kind: 0, protocol: 17, reserved: 0, port: 99 })
        generation.map('cw_verdicts').set(key, verdictStruct.encode({ verdict: policyVerdicts.denied, rule: 9 }))
      },
      ['cw_verdicts: 1 entry'],
    ],
  ] as const) {
    damage(what)
    assert.deepEqual(
      (await maps.compare(form)).filter((line) => !line.startsWith('cw_policed')),
      lines,
    )
    assert.deepEqual(await maps.compare(form), [])
    assert.ok(policed.isDenied('one', addrsOf.two[0]))
  }
})

test('without room for what policies say, nothing is denied here, and that is told', async () => {
  await using policed = await Policed.make()
  const { node } = policed
  node.add('one')
  node.add('two')
  for (const limits of [
    { peers: 100, verdicts: 2 },
    { peers: 1, verdicts: 100 },
  ]) {
    using maps = new PolicyMaps({ ebpf: node.agent.ebpf, limits })
    const form = shop(node.deviceOf('two'), ...addrsOf.one)
    await maps.compare(form)
    assert.ok(!policed.isDenied('one', addrsOf.two[0]))
    const [object] = maps.objects
    assert.equal(object!.state, 'error')
    assert.match(object!.message!, /room/)
  }
})

test('after a change that cannot be worked out nothing is denied here, until all is made anew', async () => {
  await using policed = await Policed.make()
  const { node, maps } = policed
  node.add('one')
  node.add('two')
  const form = shop(node.deviceOf('two'))
  await maps.compare(form)
  const [addr] = addrsOf.two
  assert.ok(policed.isDenied('one', addr))
  const unreadable = shop(node.deviceOf('two'))
  unreadable.membersOf = () => assert.fail('unreadable')
  policed.apply(unreadable, changeOf({ peerSets: form.peerSets }))
  assert.ok(!policed.isDenied('one', addr))
  assert.match(maps.objects[0]!.message!, /unreadable/)
  await maps.compare(form)
  assert.ok(policed.isDenied('one', addr))
  assert.equal(maps.objects[0]!.state, 'done')
})

test('of changes that it was not told of, since another place refused them, the next comparison makes up', async () => {
  await using policed = await Policed.make()
  const { node } = policed
  for (const id of ['one', 'two']) node.add(id)
  const form = shop(node.deviceOf('two'))
  await policed.maps.compare(form)
  assert.ok(policed.isDenied('one', addrsOf.two[0], 7000))
  form.policies.clear()
  form.classes.clear()
  form.local(node.deviceOf('two'), addrsOf.two, {})
  policed.maps.noteMissed()
  assert.ok(!policed.isDenied('one', addrsOf.two[0], 7000), 'until then the stack alone denies')
  await policed.maps.compare(form)
  assert.ok(!policed.isDenied('one', addrsOf.two[0], 7000))
})
