// Random forms for property tests: few ids, so that forms that follow one another share and lose objects.
import fc from 'fast-check'
import { type Direction, directions, type RuleAction, type Tier } from '#/policy/policy.ts'
import { type RuleSpec, tcp, TestForm } from './form.ts'

const tierOf = (id: number): Tier => (['NetworkPolicy', 'NetworkPolicy', 'Admin', 'Baseline'] as const)[id % 4]!
const directionOf = (id: number): Direction => directions[id >> 2]!
const policyCount = 8
const addrs = [1, 2, 3, 4, 5, 6].map((number) => [`10.244.1.${number}`, `fd10:244:0:1::${number}`])
const podSets = ['a', 'b', 'c']
const blocks: Readonly<Record<string, readonly string[]>> = {
  d: ['10.0.0.0/8', '192.168.0.0/24'],
  e: ['fd00::/8'],
  f: ['0.0.0.0/0', '::/0'],
}
const portSets = ['web', 'dns']

const rule = (tier: Tier): fc.Arbitrary<Partial<RuleSpec>> =>
  fc.record({
    action: tier === 'NetworkPolicy' ? fc.constant<RuleAction>('accept') : fc.constantFrom('accept', 'deny', 'pass'),
    peers: fc.oneof(
      fc.constant('any' as const),
      fc.uniqueArray(fc.constantFrom(...podSets, ...Object.keys(blocks)), { maxLength: 3 }),
    ),
    ports: fc.constantFrom<RuleSpec['ports']>(
      'any',
      tcp(80),
      tcp(80, [8000, 8010]),
      { ranges: [{ protocol: 'UDP', first: 0, last: 65_535 }, ...tcp(443).ranges] },
      { names: ['web'] },
      { ranges: tcp([0, 65_535]).ranges, names: ['web', 'dns'] },
    ),
  })

const subsets = fc.record({
  members: fc.tuple(...podSets.map(() => fc.subarray(addrs))),
  ports: fc.tuple(...portSets.map(() => fc.subarray(addrs))),
  rules: fc.tuple(...Array.from({ length: policyCount }, (_, id) => fc.array(rule(tierOf(id)), { maxLength: 3 }))),
  pods: fc.uniqueArray(
    fc.record({
      addr: fc.nat(addrs.length - 1),
      policies: fc.subarray(Array.from({ length: policyCount }, (_, id) => id)),
      isAudited: fc.boolean(),
    }),
    { maxLength: 4, selector: ({ addr }) => addr },
  ),
  devices: fc.shuffledSubarray([1, 2, 3, 4], { minLength: 4 }),
})

/** A form in which all is used, as the index makes it. */
export const randomForm: fc.Arbitrary<TestForm> = subsets.map(({ members, ports, rules, pods, devices }) => {
  const form = new TestForm()
  const usePolicy = (id: number): void => {
    form.policy(`p${id}`, tierOf(id), directionOf(id), ...rules[id]!)
    for (const { peers, ports: at } of rules[id]!) {
      for (const set of peers === 'any' || peers === undefined ? [] : peers) {
        const index = podSets.indexOf(set)
        if (index < 0) form.blocks(set, ...blocks[set]!)
        else form.pods(set, ...members[index]!.flat())
      }
      for (const name of at === 'any' || at === undefined ? [] : (at.names ?? []))
        form.ports(name, ...ports[portSets.indexOf(name)]!.flat().map((addr) => [addr, 'TCP', 8080] as const))
    }
  }
  for (const [index, { addr, policies, isAudited }] of pods.entries()) {
    const classes: Partial<Record<Direction, string>> = {}
    for (const direction of directions) {
      const own = policies.filter((id) => directionOf(id) === direction)
      if (own.length === 0) continue
      own.forEach(usePolicy)
      // the first digits say in which part of the chains that lead to it a class is
      const id = `${own.length}${direction[0]}${own.join('')}${isAudited ? 'a' : ''}`
      form.class(
        id,
        direction,
        own.map((each) => `p${each}`),
        isAudited,
      )
      classes[direction] = id
    }
    form.local(`cwv${String(devices[index]).padStart(11, '0')}`, addrs[addr]!, classes)
  }
  return form
})
