// What an open page is told, from the agents to its lines.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { type LiveLine, type NodeRow } from '#/ui/contract.ts'
import { bearer, linesOf, open, served, taken } from './testing/asking.ts'
import { SimulatedCluster } from './testing/simulated.ts'

const within = { timeout: 20_000 }

test('agents are asked as long as a page is open, and the page is told what changes', within, async () => {
  const cluster = new SimulatedCluster(3)
  await using ui = await served({ cluster })
  await sleep(100)
  assert.equal(cluster.asked, 0)
  const response = await open(ui.port, { path: '/api/live', headers: { ...bearer, 'accept-encoding': 'gzip' } })
  assert.equal(response.headers['content-encoding'], 'gzip')
  const rows = new Map<string, NodeRow>()
  let kinds = ''
  let step = 0
  for await (const line of linesOf(response)) {
    taken(rows, line)
    kinds += line.kind === 'all' ? 'A' : ''
    const states = [...rows.values()].map(({ state }) => state)
    if (step === 0 && states.length === 3 && states.every((each) => each === 'ready')) {
      assert.equal(rows.get('node-1')!.rack, 'rack 1')
      cluster.cut('node-1', 'node-2')
      step++
    } else if (step === 1 && rows.get('node-1')!.problems.length === 1) {
      assert.equal(rows.get('node-1')!.state, 'ready with problems')
      assert.equal(rows.get('node-1')!.pairs[0]!.state, 'broken')
      cluster.node('node-3').isSilent = true
      step++
    } else if (step === 2 && rows.get('node-3')!.state === 'silent') {
      const { why, heardMs, podCIDRs } = rows.get('node-3')!
      assert.match(why!, /does not run/)
      assert.ok(heardMs! > Date.now() - 10_000)
      assert.deepEqual(podCIDRs, cluster.node('node-3').podCIDR.split(' '))
      cluster.node('node-3').isSilent = false
      step++
    } else if (step === 3 && rows.get('node-3')!.state === 'ready') break
  }
  assert.equal(kinds, 'A')
  response.destroy()
  await sleep(300)
  const asked = cluster.asked
  await sleep(200)
  assert.equal(cluster.asked, asked, 'no page, no requests')
})

test('rows that do not change are not sent again, though round trips differ each time', within, async () => {
  await using ui = await served({ cluster: new SimulatedCluster(5) })
  const response = await open(ui.port, { path: '/api/live', headers: bearer })
  let [rounds, changed] = [0, 0]
  for await (const line of linesOf(response)) {
    if (line.kind !== 'nodes') continue
    if (++rounds > 3) changed += line.changed.length
    if (rounds === 10) break
  }
  response.destroy()
  assert.equal(changed, 0)
})

test('nodes that come and go do so on the page', within, async () => {
  const cluster = new SimulatedCluster(3)
  let agents = cluster.agents.slice(0, 2)
  await using ui = await served({ cluster, agents: () => agents })
  const response = await open(ui.port, { path: '/api/live', headers: bearer })
  const rows = new Map<string, NodeRow>()
  for await (const line of linesOf(response)) {
    taken(rows, line)
    const names = [...rows.keys()].join()
    if (names === 'node-1,node-2') agents = cluster.agents.slice(1)
    else if (!rows.has('node-1') && rows.has('node-3')) break
  }
  response.destroy()
})

test('what cannot be found is told, and what was known stays', within, async () => {
  const cluster = new SimulatedCluster(2)
  let isAway = false
  const away = (): SimulatedCluster['agents'] => {
    if (isAway) throw new Error('the API server does not answer')
    return cluster.agents
  }
  await using ui = await served({ cluster, agents: away })
  const response = await open(ui.port, { path: '/api/live', headers: bearer })
  const rows = new Map<string, NodeRow>()
  let isTold = false
  for await (const line of linesOf(response)) {
    taken(rows, line)
    if (rows.get('node-2')?.state === 'ready' && !isTold) isAway = true
    // on a busy machine there are several of them before another page has come
    if (line.kind === 'failure' && !isTold) {
      assert.match(line.message, /the API server does not answer/)
      isTold = true
      const other = await open(ui.port, { path: '/api/live', headers: bearer })
      for await (const first of linesOf(other)) {
        assert.ok(first.kind === 'all')
        assert.equal(first.nodes.length, 2)
        assert.match(first.failure!, /does not answer/)
        break
      }
      other.destroy()
      isAway = false
    } else if (isTold && line.kind === 'nodes') break
  }
  response.destroy()
})

test(
  'for a page that does not read nothing is kept, and has the newest state when it reads again',
  // 50 MB of JSON are made
  { timeout: 3 * within.timeout },
  async () => {
    const cluster = new SimulatedCluster(400)
    await using ui = await served({ cluster })
    const slow = await open(ui.port, { path: '/api/live', headers: bearer })
    const rows = new Map<string, NodeRow>()
    const lines = linesOf(slow)
    // the first line is read, and then nothing for many rounds in which everything changes
    taken(rows, (await lines.next()).value as LiveLine)
    slow.pause()
    const other = await open(ui.port, { path: '/api/live', headers: bearer })
    let rounds = 0
    for await (const line of linesOf(other)) {
      if (line.kind === 'nodes') rounds++
      for (const sim of cluster.nodes)
        sim.extraProblems = [
          { code: 'CW0000', object: `round/${rounds}`, message: 'x'.repeat(4000), how: '', remedy: '' },
        ]
      if (rounds === 30) break
    }
    other.destroy()
    for (const sim of cluster.nodes) sim.extraProblems = []
    let read = 0
    for await (const line of lines) {
      read += JSON.stringify(line).length
      taken(rows, line)
      if ([...rows.values()].filter(({ state, problems }) => state === 'ready' && problems.length === 0).length === 400)
        break
    }
    // what the kernel's buffers hold, and one state: all rounds have 50 MB
    assert.ok(read < 16 << 20, `${read} bytes were kept for it`)
    slow.destroy()
  },
)

test('an agent of an earlier release is shown by its status', within, async () => {
  const cluster = new SimulatedCluster(2)
  cluster.node('node-1').isOld = true
  await using ui = await served({ cluster })
  const response = await open(ui.port, { path: '/api/live', headers: bearer })
  const rows = new Map<string, NodeRow>()
  for await (const line of linesOf(response)) {
    taken(rows, line)
    if ([...rows.values()].filter(({ state }) => state === 'ready').length === 2) break
  }
  assert.equal(rows.get('node-1')!.version, 'of an earlier release')
  assert.deepEqual(rows.get('node-1')!.crossings, { vxlan: 0, native: 1, none: 0 })
  response.destroy()
})

test('a node that hangs holds up no other for longer than its limit', within, async () => {
  const cluster = new SimulatedCluster(3)
  cluster.node('node-2').hangs = true
  await using ui = await served({ cluster })
  const response = await open(ui.port, { path: '/api/live', headers: bearer })
  const rows = new Map<string, NodeRow>()
  for await (const line of linesOf(response)) {
    taken(rows, line)
    if (rows.get('node-2')?.state === 'silent') break
  }
  assert.match(rows.get('node-2')!.why!, /does not answer within 0.5 s/)
  assert.equal(rows.get('node-3')!.state, 'ready')
  response.destroy()
})
