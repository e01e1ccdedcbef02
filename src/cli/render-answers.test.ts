import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { problem } from '#/model/problems.ts'
import { textWidth } from '#/lib/table.ts'
import { renderPlan } from './plan.ts'
import { renderStatus } from './status.ts'

const nodes = Array.from({ length: 20 }, (_, index) => `node-${index + 1}`)
const refused = 'GET https://172.30.1.1:6443/api/v1/nodes failed: connect ECONNREFUSED 172.30.1.1:6443'

function statusOf(node: string, change: Partial<AgentStatus> = {}): AgentStatus {
  const status = {
    node,
    pid: 1,
    podCIDRs: ['10.244.0.0/24', 'fd10:244::/64'],
    readiness: { state: 'ready', reasons: [] },
    api: { phase: 'watching', inSync: true, nodes: 20 },
    objects: [],
    verdicts: [],
    endpoints: [],
    problems: [],
    ...change,
  }
  return status as unknown as AgentStatus
}

function occurrences(text: string, part: string): number {
  return text.split(part).length - 1
}

test('agents that do not answer for one reason are one line', () => {
  const answers = nodes.map((node) => ({ node, error: `no agent answers on /run/${node}/agent.sock: ENOENT` }))
  const line = '20 nodes (node-1, node-2, node-3 and 17 more): no agent answers on /run/node-1/agent.sock: ENOENT'
  assert.equal(renderStatus(answers, Infinity), line)
  assert.equal(renderPlan(answers, Infinity), `# ${line}`)
  // a plan stays one that a shell takes
  for (const each of renderPlan(answers, 40).split('\n')) assert.match(each, /^#/)
})

test('an API that no agent reaches is told of once; what one agent alone has keeps its line', () => {
  const api = { phase: 'backoff', inSync: true, nodes: 20, lastError: refused } as AgentStatus['api']
  const answers = nodes.map((node) => ({
    node,
    value: statusOf(node, {
      api,
      ...(node === 'node-7' && { problems: [problem('CW1104', 'node/node-9', 'no InternalIP')] }),
    }),
  }))
  const text = renderStatus(answers, Infinity)
  assert.equal(occurrences(text, 'ECONNREFUSED'), 1)
  assert.match(text, /^! 20 nodes \(node-1, node-2, node-3 and 17 more\): API: last error: GET/m)
  assert.match(text, /^! CW1104 node-7 node\/node-9: no InternalIP$/m)
  for (const node of nodes) assert.match(text, new RegExp(`^${node}: ready`, 'm'))
})

test('one cause of many objects of a plan is one comment', () => {
  const problems = nodes.map((node) => problem('CW1104', `node/${node}`, 'no InternalIP'))
  const value = { node: 'node-1', changes: [], problems } as AgentPlan
  assert.deepEqual(
    renderPlan([{ node: 'node-1', value }], Infinity)
      .split('\n')
      .slice(0, 2),
    [
      '# node-1: the kernel is as it should be',
      '# CW1104 20 objects (node/node-1, node/node-2, node/node-3 and 17 more): no InternalIP',
    ],
  )
})

test('a status in trouble fits 80 columns', () => {
  const message = 'RTM_NEWROUTE: no such device (ENODEV), again in 4 s; is cw-vxlan there? '.repeat(2).trim()
  const objects = ['10.244.1.0/24 dev cw-vxlan encap', 'fd10:244:0:1::/64 dev cw-vxlan encap'].map((key) => ({
    kind: 'route',
    key,
    state: 'failed',
    sinceMs: 0,
    message,
  })) as unknown as AgentStatus['objects']
  const api = { phase: 'backoff', inSync: true, nodes: 20, lastError: refused } as AgentStatus['api']
  const text = renderStatus([{ node: 'node-1', value: statusOf('node-1', { objects, api }) }], 80)
  assert.ok(textWidth(text) <= 80, text)
  assert.equal(occurrences(text, 'RTM_NEWROUTE'), 2)
})
