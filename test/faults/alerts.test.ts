// Every alert of monitoring/alerts.yaml, caused in a lab by its fault and told by a real Prometheus: that alert, and no other.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { LabPaths } from '#/lab/paths.ts'
import { messageOf } from '#/lib/log.ts'
import { policyTableName } from '#/model/names.ts'
import { causeway, eventually, must, TestLab } from '../e2e/harness.ts'
import { TestPrometheus } from '../monitoring/prometheus.ts'
import { readRules } from '../monitoring/rules.ts'

const nodes = ['node-1', 'node-2', 'node-3']
/** Alerts wait so much shorter than on a cluster. */
const factor = 20
/** The longest that one waits then, with its rate, on a busy machine. */
const firesMs = 90_000

type Scene = { readonly lab: TestLab; readonly prometheus: TestPrometheus }
type Cause = {
  readonly title: string
  readonly cause: (scene: Scene) => void | Promise<void>
  readonly mend: (scene: Scene) => void | Promise<void>
  /** All alerts that fire, by name. */
  readonly fires: readonly string[]
  /** Some of these, with where. */
  readonly told: readonly RegExp[]
}

/** A fault of the catalogue, at node-3. */
function fault(name: string, fires: readonly string[], ...told: readonly RegExp[]): Cause {
  return {
    title: name,
    cause: ({ lab }) => void must(causeway, 'lab', 'break', name, '--node', 'node-3', '--name', lab.name, '--quiet'),
    mend: ({ lab }) => void must(causeway, 'lab', 'mend', name, '--name', lab.name),
    fires,
    told,
  }
}

const own = 'causeway-alerts-test'
/** Rules that reset such connections; the resets themselves pass. */
function refuse(...what: readonly string[]): string {
  const chains = ['input', 'output'].map((hook) =>
    [
      `add chain inet ${own} ${hook} { type filter hook ${hook} priority 0; }`,
      ...what.map((each) => `add rule inet ${own} ${hook} ${each} tcp flags & rst == 0 reject with tcp reset`),
    ].join('; '),
  )
  return [`add table inet ${own}`, ...chains].join('; ')
}
const accept = ({ lab }: Scene): void => void lab.mustInside('node-3', 'nft', 'delete', 'table', 'inet', own)

/** Who has the tables of policies instead of the agent, and lets nobody else change them. */
const owners = new Map<string, ReturnType<typeof spawn>>()
const policy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'one', namespace: 'default' },
  spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] },
}

/** Without policies there are no tables of them: so there is one, once the tables are somebody's. */
function ownPolicyTables({ lab }: Scene): void {
  const owner = spawn('ip', ['netns', 'exec', `cw-${lab.name}-node-3`, 'nft', '-i'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  owners.set(lab.name, owner)
  for (const family of ['inet', 'bridge'])
    owner.stdin.write(`add table ${family} ${policyTableName} { flags owner; }\n`)
  const { status, stderr } = spawnSync('kubectl', ['--kubeconfig', lab.kubeconfig, 'create', '-f', '-'], {
    input: JSON.stringify(policy),
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
}

async function disownPolicyTables({ lab }: Scene): Promise<void> {
  lab.kubectl('delete', 'networkpolicy', 'one')
  const owner = owners.get(lab.name)!
  const gone = once(owner, 'exit')
  owner.stdin!.end()
  await gone
}

async function restartAgain({ lab, prometheus }: Scene): Promise<void> {
  for (let times = 0; times < 6; times++) {
    lab.kill('agent-node-3')
    lab.startAgent('node-3')
    const startedSeconds = Date.now() / 1000
    await eventually('the new agent is scraped', async () => {
      const [started] = await prometheus.query('process_start_time_seconds{node="node-3"}')
      const established = await prometheus.query('causeway_bgp_session_established{node!="node-3"} == 0')
      return Number(started?.value[1]) > startedSeconds - 1 && established.length === 0
    })
  }
}

const inTunnel: readonly Cause[] = [
  fault('agent-dead', ['CausewayAgentDown'], /^CausewayAgentDown node-3$/),
  fault(
    'neighbour-wrong-mac',
    ['CausewayNodeUnreachable'],
    /^CausewayNodeUnreachable node-[13] CW1306 node\/node-[13]$/,
  ),
  fault('underlay-mtu-silent', ['CausewayLargePacketsLost'], /^CausewayLargePacketsLost node-1 CW8101 node\/node-3/),
  fault('packet-loss', ['CausewayLossyWay'], /^CausewayLossyWay node-1 node-3 ipv4$/),
  fault('forward-drop-nft', ['CausewayNodeNotReady'], /^CausewayNodeNotReady node-3 CW7001 /),
  fault('node-cidr-outside', ['CausewayPacketsLost'], /^CausewayPacketsLost CW1105 node\//),
  fault('leftover-conflist', ['CausewayProblem'], /^CausewayProblem node-3 CW3008 /),
  {
    ...fault('addresses-exhausted', ['CausewayAddressesRunningOut', 'CausewayAddressesUsedUp'], /UsedUp node-3 ipv4/),
    cause: ({ lab }) => {
      must(causeway, 'lab', 'break', 'addresses-exhausted', '--node', 'node-3', '--name', lab.name, '--quiet')
      const spec = JSON.stringify({ spec: { nodeName: 'node-3' } })
      lab.kubectl('run', 'one-more', '--image=none', `--overrides=${spec}`)
    },
    mend: ({ lab }) => {
      must(causeway, 'lab', 'mend', 'addresses-exhausted', '--name', lab.name)
      lab.kubectl('delete', 'pod', 'one-more', '--wait=false')
    },
  },
  {
    title: 'the API refuses a node',
    cause: ({ lab }) => {
      const { server } = parse(readFileSync(new LabPaths(lab.name).nodeKubeconfig, 'utf8')).clusters[0].cluster as {
        server: string
      }
      const { port } = new URL(server)
      lab.mustInside('node-3', 'nft', refuse(`tcp dport ${port}`, `tcp sport ${port}`))
    },
    mend: accept,
    fires: ['CausewayAgentWithoutApi'],
    told: [/^CausewayAgentWithoutApi node-3$/],
  },
  {
    title: 'somebody owns the tables of policies',
    cause: ownPolicyTables,
    mend: disownPolicyTables,
    fires: ['CausewayPoliciesNotEnforced'],
    told: [/^CausewayPoliciesNotEnforced node-3$/],
  },
  {
    title: 'a node has no pod of an agent any more',
    cause: ({ prometheus }) => prometheus.find(['node-1', 'node-2']),
    mend: ({ prometheus }) => prometheus.find(nodes),
    fires: ['CausewayAgentMissing'],
    told: [/^CausewayAgentMissing$/],
  },
  {
    title: 'all agents are dead',
    cause: ({ lab }) => lab.kill('agent-node'),
    mend: ({ lab }) => void lab.up('--nodes', '3', '--pods', '1'),
    fires: ['CausewayAgentDown', 'CausewayNoAgentSeen'],
    told: [/^CausewayAgentDown node-1$/, /^CausewayAgentDown node-2$/, /^CausewayNoAgentSeen$/],
  },
]

const withBgp: readonly Cause[] = [
  fault('agent-dead', ['CausewayAgentDown', 'CausewayBgpSessionDown'], /^CausewayBgpSessionDown node\/node-3$/),
  {
    title: 'the port of BGP is blocked',
    cause: ({ lab }) => void lab.mustInside('node-3', 'nft', refuse('tcp dport 179', 'tcp sport 179')),
    mend: accept,
    fires: ['CausewayBgpNoSession', 'CausewayBgpSessionDown'],
    told: [/^CausewayBgpNoSession node-3$/, /^CausewayBgpSessionDown node\/node-3$/],
  },
  {
    // the last one: this alert goes by the starts of an hour, so it stays
    title: 'an agent is started again and again',
    cause: restartAgain,
    mend: () => {},
    fires: ['CausewayAgentRestarts', 'CausewayBgpSessionFlaps'],
    told: [/^CausewayAgentRestarts node-3$/, /^CausewayBgpSessionFlaps node-1 node\/node-3$/],
  },
]

async function quiet({ prometheus }: Scene): Promise<void> {
  await eventually(
    'nothing fires',
    async () => {
      assert.deepEqual(await prometheus.alerts(), [])
      return true
    },
    firesMs,
  )
}

async function play(scene: Scene, { title, cause, mend, fires, told }: Cause): Promise<void> {
  const { prometheus } = scene
  await quiet(scene)
  const startedMs = performance.now()
  try {
    await cause(scene)
    await eventually(
      `alerts by ${title}`,
      async () => {
        const firing = await prometheus.firing()
        assert.deepEqual([...new Set(firing.map((each) => each.split(' ')[0]!))], fires)
        for (const each of told)
          assert.ok(
            firing.some((one) => each.test(one)),
            `${each}: ${firing.join('\n')}`,
          )
        return true
      },
      firesMs,
    )
    // what comes later than the first would be one too many
    await sleep(5000)
    const firing = await prometheus.firing()
    assert.deepEqual([...new Set(firing.map((each) => each.split(' ')[0]!))], fires, title)
    console.log(`${title}, ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${firing.join('; ')}`)
  } finally {
    await mend(scene)
  }
}

async function playAll(causes: readonly Cause[], ...options: readonly string[]): Promise<void> {
  using lab = new TestLab()
  lab.up('--nodes', '3', '--pods', '1', ...options)
  await using prometheus = await TestPrometheus.start(lab.name, nodes, factor)
  const scene = { lab, prometheus }
  // rates have values then
  await sleep(15_000)
  const wrong: string[] = []
  for (const each of causes) {
    try {
      await play(scene, each)
    } catch (error) {
      // the others are played all the same
      wrong.push(`${each.title}: ${messageOf(error)}`)
      console.log(wrong.at(-1))
    }
  }
  assert.deepEqual(wrong, [])
}

test('every alert has a fault', () => {
  const caused = new Set([...inTunnel, ...withBgp].flatMap(({ fires }) => fires))
  assert.deepEqual(
    readRules()
      .map(({ alert }) => alert)
      .sort(),
    [...caused].sort(),
  )
})

test('alerts by faults, in the tunnel', () => playAll(inTunnel))

test('alerts by faults, with BGP', () => playAll(withBgp, '--routing', 'native'))
