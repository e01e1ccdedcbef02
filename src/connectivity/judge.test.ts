import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from '#/doctor/diagnose.ts'
import { clusterOf, told } from '#/doctor/testing/answers.ts'
import { type FollowedPacket } from '#/doctor/types.ts'
import { type Outcome, type Verdict } from '#/trace/verdict.ts'
import { followed, isWorthAgain, judge } from './judge.ts'
import { batchesOf, causesOf, resultOfFaults, resultOfProbes, unansweredByProved, withCauses } from './results.ts'
import { probe } from './testing.ts'

const usual = { isBroken: false, isSettling: false }
const verdict = (outcome: Outcome, besides: Partial<Verdict> = {}): Verdict => ({ outcome, text: outcome, ...besides })
const stateOf = (outcome: Outcome, besides: Partial<Verdict> = {}, asked = probe): string =>
  judge(asked, { verdict: verdict(outcome, besides) }, 1).state

test('an answer is an answer, also that nothing listens', () => {
  assert.equal(stateOf('answered'), 'passed')
  assert.equal(stateOf('closed'), 'passed')
  for (const outcome of ['refused', 'not-sent', 'lost', 'unanswered', 'answer-lost'] as const)
    assert.equal(stateOf(outcome), 'failed', outcome)
  assert.equal(stateOf('untold'), 'unknown')
})

test('a datagram that a process has taken has arrived; that it does not answer what it does not understand is told', () => {
  const taken = judge({ ...probe, protocol: 'udp' }, { verdict: verdict('taken') }, 1)
  assert.deepEqual([taken.state, taken.isOneWay], ['passed', true])
  assert.match(
    resultOfProbes('dns', [taken], 1).text,
    /^1 of 1 packet arrived .*, 1 of them were taken by a process that does not answer$/,
  )
})

test('what a policy denies must not arrive', () => {
  const denied = { ...probe, expects: 'denial' } as const
  assert.equal(stateOf('lost', { kind: 'policy' }, denied), 'passed')
  for (const outcome of ['answered', 'closed', 'taken'] as const) {
    const result = judge(denied, { verdict: verdict(outcome) }, 1)
    assert.equal(result.state, 'failed')
    assert.match(result.text, /a NetworkPolicy denies it, and it arrived/)
  }
  const lost = judge(denied, { verdict: verdict('lost') }, 1)
  assert.deepEqual([lost.state, lost.isByChance], ['passed', true])
  assert.match(
    resultOfProbes('policy-deny', [lost], 1).text,
    /did not arrive, 1 of them for another reason than a policy/,
  )
  assert.equal(stateOf('untold', {}, denied), 'unknown')
})

test('what a policy of somebody else denies is no fault of a firewall', () => {
  const dropped = {
    node: 'node-2',
    place: 'drop',
    drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain' },
  } as const
  const drop = dropped as unknown as NonNullable<Verdict['drop']>
  const result = judge(probe, { verdict: verdict('lost', { kind: 'policy', remedy: 'let it pass', drop }) }, 1)
  assert.deepEqual([result.state, result.code, result.remedy], ['failed', undefined, 'let it pass'])
  assert.equal(judge(probe, { verdict: verdict('lost', { drop }) }, 1).code, 'CW7001')
})

test('one of full size passes only if it was sent and answered', () => {
  const large = { ...probe, protocol: 'icmp', isOfFullSize: true } as const
  assert.equal(stateOf('answered', {}, large), 'unknown')
  assert.equal(judge(large, { verdict: verdict('answered'), fullBytes: 1450 }, 1).state, 'passed')
})

test('what a trace blames comes with its code and remedy; then there is no second try', () => {
  const result = judge(probe, { verdict: verdict('lost', { code: 'CW7001', remedy: 'mend it' }) }, 1)
  assert.deepEqual([result.code, result.remedy, isWorthAgain(result, usual)], ['CW7001', 'mend it', false])
  const lost = judge(probe, { verdict: verdict('lost') }, 1)
  assert.equal(isWorthAgain(lost, usual), true)
  assert.equal(isWorthAgain(lost, { ...usual, isBroken: true }), false)
  assert.equal(isWorthAgain({ ...lost, tries: 2 }, usual), false)
  assert.equal(isWorthAgain(judge(probe, { verdict: verdict('answered') }, 1), usual), false)
})

test('a Service has its pods a moment after they are ready: until then it is asked again, whatever refuses', () => {
  const toService = { ...probe, via: ['node-1'] }
  const refused = judge(toService, { verdict: verdict('refused', { code: 'CW7001', remedy: 'accept it' }) }, 3)
  assert.equal(isWorthAgain(refused, { ...usual, isSettling: true }), true)
  assert.equal(isWorthAgain(refused, usual), false)
})

test('doctor is told of the end behind a Service', () => {
  const toService = { ...probe, to: { name: 'Service a/b', node: '', isPod: false } }
  assert.deepEqual(followed(toService, { verdict: verdict('lost') }).to, { ...toService.to, node: 'node-1' })
  assert.deepEqual(followed(toService, { verdict: verdict('lost'), behind: probe.to }).to, probe.to)
})

const left = { last: { node: 'node-1', device: 'eth0', place: 'transmit', isExpected: true } } as const

test('that a guessed router does not answer shows nothing; that packets do not come to it does', () => {
  const guess = { ...probe, to: { name: '172.30.1.1', node: '', isPod: false }, isGuess: true } as const
  const silent = judge(guess, { verdict: verdict('lost', left) }, 1)
  assert.equal(silent.state, 'unknown')
  const result = resultOfProbes('outside', [silent], 1)
  assert.equal(result.state, 'skipped')
  assert.match(result.text, /router 172\.30\.1\.1 answers none/)
  const stuck = judge(guess, { verdict: verdict('not-sent') }, 1)
  assert.equal(resultOfProbes('outside', [silent, stuck], 1).state, 'failed')
  const asked = judge({ ...probe, to: guess.to }, { verdict: verdict('lost', left) }, 1)
  assert.equal(asked.state, 'failed')
})

test('a guessed router that answers some packets has lost the others', () => {
  const guess = { ...probe, to: { name: '172.30.1.1', node: '', isPod: false }, isGuess: true } as const
  const good = judge(guess, { verdict: verdict('answered') }, 1)
  const silent = judge(guess, { verdict: verdict('lost', left) }, 1)
  const elsewhere = judge({ ...guess, to: { ...guess.to, name: '172.30.2.1' } }, { verdict: verdict('lost', left) }, 1)
  assert.deepEqual(unansweredByProved([good, silent, elsewhere]), [silent])
  assert.deepEqual(unansweredByProved([silent, elsewhere]), [])
})

test('a scenario passes only if all of it did what it should', () => {
  const good = judge(probe, { verdict: verdict('answered') }, 1)
  const again = judge(probe, { verdict: verdict('answered') }, 2)
  const unknown = judge(probe, { verdict: verdict('untold') }, 1)
  assert.equal(resultOfProbes('pod-to-pod', [good, good], 1).state, 'passed')
  assert.match(resultOfProbes('pod-to-pod', [good, again], 1).text, /^2 of 2 .*1 of them only when sent again$/)
  assert.equal(resultOfProbes('pod-to-pod', [good, unknown], 1).state, 'failed')
  const fault = { subject: 'pod a', text: 'no' }
  const of = (faults: readonly (typeof fault)[]) =>
    resultOfFaults('pods-start', { all: 4, noun: 'pod', what: 'are ready', faults }, 1)
  assert.deepEqual([of([]).state, of([]).text], ['passed', '4 pods are ready'])
  assert.deepEqual([of([fault]).state, of([fault]).text], ['failed', '3 of 4 pods are ready'])
})

test('a packet of which nothing is known has the cause that the trace of another blames', () => {
  const answers = clusterOf(2)
  const last = { node: 'node-2', device: 'eth0', place: 'receive', isExpected: true } as const
  const packet = (from: string, besides: Partial<Verdict>): FollowedPacket => ({
    from: { name: from, node: 'node-1', isPod: true },
    to: { name: 'default/web-2-1', node: 'node-2', isPod: true },
    family: 4,
    protocol: 'icmp',
    verdict: verdict('lost', { last, ...besides }),
  })
  const blaming = packet('default/web-1-1', { code: 'CW7001', remedy: 'accept it', next: last })
  const unknown = packet('default/web-1-2', { next: last })
  assert.equal(causesOf([unknown], [], answers).get(unknown)?.code, 'CW6102')
  const cause = causesOf([unknown], [blaming], answers).get(unknown)
  assert.deepEqual([cause?.code, cause?.remedy], ['CW7001', 'accept it'])
})

const lostOf = (count: number): FollowedPacket[] =>
  Array.from({ length: count }, (_, index) => ({
    from: { name: `default/web-1-${index}`, node: 'node-1', isPod: true },
    to: { name: 'default/web-2-1', node: 'node-2', isPod: true },
    family: 4,
    protocol: 'icmp',
    verdict: verdict('lost', { last: { node: 'node-2', device: 'eth0', place: 'receive', isExpected: true } }),
  }))

test('packets are diagnosed one by one in a small cluster, and in a large one in as many diagnoses as it bears', () => {
  const sizes = (count: number, nodeCount: number): number[] =>
    batchesOf(lostOf(count), nodeCount).map(({ length }) => length)
  assert.deepEqual(sizes(0, 3), [])
  assert.deepEqual(new Set(sizes(500, 10)), new Set([1]))
  const large = sizes(16_000, 2_000)
  assert.deepEqual([large.length, large.reduce((sum, size) => sum + size, 0)], [16, 16_000])
  assert.equal(sizes(5, 100_000).length, 1)
  assert.equal(batchesOf([...lostOf(7), ...lostOf(7)], 3).length, 7)
})

test('each packet that failed has its cause, also where many are diagnosed together', () => {
  const packets = lostOf(40)
  const answers = clusterOf(2)
  assert.equal(causesOf(packets, [], answers).size, packets.length)
  const probes = packets.map((packet) => judge({ ...probe, ...packet }, { verdict: packet.verdict }, 1))
  const packetOf = new Map(probes.map((each, index) => [each, packets[index]!]))
  const [result] = withCauses([resultOfProbes('pod-to-pod', probes, 1)], { packetOf, answers, findings: [] })
  assert.deepEqual(
    result!.probes.map(({ code }) => code),
    packets.map(() => 'CW6102'),
  )
})

test('what arrives against a policy has as its cause why a node does not know or enforce it', () => {
  const arrived = judge({ ...probe, expects: 'denial' }, { verdict: verdict('answered') }, 1)
  const codeFor = (problems: Parameters<typeof clusterOf>[1]): string | undefined => {
    const { findings } = diagnose(clusterOf(2, problems), [])
    const result = resultOfProbes('policy-deny', [arrived], 1)
    return withCauses([result], { packetOf: new Map(), answers: [], findings })[0]!.probes[0]!.code
  }
  assert.equal(codeFor([]), undefined)
  assert.equal(codeFor([['node-1', told('CW3301', 'policy/table')]]), 'CW3301')
  assert.equal(codeFor([['node-1', told('CW1301', 'rule/5270')]]), undefined)
  assert.equal(codeFor([['node-2', told('CW8104', 'device/eth0')]]), 'CW8104')
})

test('a packet of which no agent tells has as its cause that one does not answer', () => {
  const untold = judge(probe, { verdict: verdict('untold') }, 1)
  const silent = clusterOf(2, []).map((each) => {
    const { status: _, ...rest } = each
    return each.node === 'node-1' ? { ...rest, silences: [{ what: 'status', why: 'nobody listens' }] } : each
  })
  const { findings } = diagnose(silent, [])
  const [result] = withCauses([resultOfProbes('pod-to-pod', [untold], 1)], {
    packetOf: new Map(),
    answers: [],
    findings,
  })
  assert.equal(result!.probes[0]!.code, 'CW6001')
})

test('a pod that does not become ready has as its cause why its node gives it no network', () => {
  const codeFor = (problems: Parameters<typeof clusterOf>[1]): string | undefined => {
    const { findings } = diagnose(clusterOf(2, problems), [])
    const faults = [{ subject: 'pod a/b on node-1', node: 'node-1', text: 'CNI ADD fails' }]
    const result = resultOfFaults('pods-start', { all: 4, noun: 'pod', what: 'are ready', faults }, 1)
    return withCauses([result], { packetOf: new Map(), answers: [], findings })[0]!.faults[0]!.code
  }
  assert.equal(codeFor([['node-1', told('CW3112', 'cidr/10.244.0.0/24')]]), 'CW3112')
  assert.equal(codeFor([['node-2', told('CW3112', 'cidr/10.244.1.0/24')]]), undefined)
  assert.equal(codeFor([['node-1', told('CW3304', 'sysctl/nf_conntrack_max')]]), undefined)
})
