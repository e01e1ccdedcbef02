// What is told of a test: text, JUnit, JSON.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from './judge.ts'
import { exitStatusOf, resultsJson } from './json.ts'
import { junitText } from './junit.ts'
import { resultOfProbes, skipped } from './results.ts'
import { selectionOf } from './selection.ts'
import { probe } from './testing.ts'
import { scenarioLines, summaryText } from './text.ts'
import { type ScenarioResult } from './types.ts'

const good = judge(probe, { verdict: { outcome: 'answered', text: 'it answers' } }, 1)
const bad = judge(
  probe,
  { verdict: { outcome: 'lost', text: 'a firewall <drops> "it" & more', code: 'CW7001', remedy: 'accept it' } },
  1,
)
const results: readonly ScenarioResult[] = [
  resultOfProbes('same-node', [good], 100),
  resultOfProbes('pod-to-pod', [good, bad, bad], 1234),
  skipped('dns', 'there is no Service'),
]

test('text: a line for a scenario, and each cause once', () => {
  assert.deepEqual(
    results.flatMap((each) => scenarioLines(each, 1000)),
    [
      'ok    same-node      1 of 1 packet arrived and were answered, 0.1 s',
      'FAIL  pod-to-pod     1 of 3 packets arrived and were answered, 1.2 s',
      '      ! CW7001 TCP over IPv4 from pod causeway-test/client-1 on node-1 to pod causeway-test/server-2 on node-2 port 8080: a firewall <drops> "it" & more (and 1 more like it)',
      '      !     remedy: accept it',
      'skip  dns            there is no Service',
    ],
  )
  assert.equal(
    summaryText(results, 2000),
    '1 of 2 scenarios failed, 1 skipped: 2 of 4 packets did what they should, in 2.0 s',
  )
  assert.ok(scenarioLines(results[1]!, 60).every((line) => line.length <= 60))
})

test('text: pods that do not start for one cause are told once', () => {
  const faults = [1, 2, 3].map((count) => ({
    subject: `pod causeway-test/client-${count} on node-${count}`,
    text: `FailedCreatePodSandBox: plugin failed on node-${count}: 10.0.0.${count}:4000${count}`,
  }))
  const lines = scenarioLines({ name: 'pods-start', state: 'failed', text: 'no', probes: [], faults, ms: 1 }, 1000)
  assert.equal(lines.length, 2)
  assert.match(lines[1]!, /client-1 on node-1: .*and 2 more like it/)
})

test('JUnit: a case for each packet, what the scenario is skipped for, and nothing that is no XML', () => {
  const text = junitText(results)
  assert.match(text, /<testsuite name="pod-to-pod" tests="3" failures="2" errors="0" skipped="0" time="1.234">/)
  assert.match(text, /<failure type="CW7001" message="CW7001 a firewall &lt;drops&gt; &quot;it&quot; &amp; more">/)
  assert.match(text, /<testcase classname="connectivity.dns" name="dns"><skipped message="there is no Service"\/>/)
  const hostile = { subject: 'pod "\u001b[1m]]>', text: '\u0000<a>\ud800', code: 'CW6001' }
  const told = junitText([{ name: 'doctor', state: 'failed', text: '', probes: [], faults: [hostile], ms: 1 }])
  assert.match(told, /name="pod &quot;\ufffd\[1m\]\]&gt;"/)
  assert.match(told, /message="CW6001 \ufffd&lt;a&gt;\ufffd"/)
})

test('JSON: the same, for programs', () => {
  const { exitStatus, scenarios } = resultsJson(results, ['node-1', 'node-2'], { ms: 2000, exitStatus: 1 })
  assert.equal(exitStatus, 1)
  assert.equal(exitStatusOf(results, true), 1)
  assert.equal(exitStatusOf(results, false), 1)
  assert.equal(exitStatusOf(results.slice(0, 1), true), 0)
  assert.equal(exitStatusOf(results.slice(0, 1), false), 3)
  assert.deepEqual(
    scenarios[1]!.packets.map(({ state, code }) => [state, code]),
    [
      ['passed', undefined],
      ['failed', 'CW7001'],
      ['failed', 'CW7001'],
    ],
  )
})

test('scenarios are chosen by name; agents and pods are always there, doctor unless it is left out', () => {
  const only = selectionOf('mtu, dns', undefined)
  assert.ok(typeof only === 'object')
  assert.deepEqual([...only.names], ['agents', 'pods-start', 'mtu', 'dns'])
  const skip = selectionOf(undefined, 'doctor')
  assert.ok(typeof skip === 'object' && skip.isWithoutDoctor && !skip.names.has('doctor') && skip.names.has('mtu'))
  const whyNot = (chosen: ReturnType<typeof selectionOf>): string => (typeof chosen === 'string' ? chosen : '')
  assert.match(whyNot(selectionOf('mtuu', undefined)), /^--only: there is no scenario "mtuu".*mtu/)
  assert.match(whyNot(selectionOf(undefined, '')), /^--skip: there is no scenario ""/)
})
