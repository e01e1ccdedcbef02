// The command line asks all agents of a cluster through its API server, here the lab's: exec, WebSocket, relay and socket are real.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { causeway, eventually, type Run, run, TestLab } from './harness.ts'

const plugin = new URL('../../kubectl-causeway', import.meta.url).pathname
const lab = new TestLab()
const folder = mkdtempSync(join(tmpdir(), 'causeway-access-'))

before(() => void lab.up('--nodes', '3', '--pods', '1'))
after(() => {
  lab[Symbol.dispose]()
  rmSync(folder, { recursive: true, force: true })
})

function ask(...args: readonly string[]): Run {
  return run(causeway, [...args, '--kubeconfig', lab.kubeconfig])
}

type Answer = { node: string; pod?: string; value?: { node: string }; error?: string }

function answersOf({ stdout }: Run): Answer[] {
  return JSON.parse(stdout) as Answer[]
}

const podOf = (node: string): string => `causeway-system/causeway-agent-${node}`
const nodes = ['node-1', 'node-2', 'node-3']

/** The relays that run for this lab. */
function relays(): string[] {
  const { stdout } = run('pgrep', ['-x', 'causeway-api-re'])
  const mine = (pid: string): boolean => readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`/${lab.name}/`)
  return stdout.split('\n').filter((pid) => {
    try {
      return pid !== '' && mine(pid)
    } catch {
      // it has ended meanwhile
      return false
    }
  })
}

test('every node answers through its pod as it does on its socket', () => {
  const status = ask('status', '--json')
  assert.equal(status.status, 0, status.stdout + status.stderr)
  assert.deepEqual(
    answersOf(status).map(({ node, pod, value }) => [node, pod, value?.node]),
    nodes.map((node) => [node, podOf(node), node]),
  )
  for (const command of [['plan'], ['bgp', 'peers'], ['ipam', 'check'], ['policy', 'list'], ['datapath']]) {
    const near = run(causeway, [...command, '--lab', lab.name])
    const far = ask(...command)
    assert.equal(far.status, near.status, `${command.join(' ')}: ${far.stdout}${far.stderr}`)
    // times pass
    const still = (text: string): string => text.replaceAll(/\d+(ms|s|m)\b|\d+/g, '').replaceAll(/ +/g, ' ')
    assert.equal(still(far.stdout), still(near.stdout), command.join(' '))
  }
  const one = ask('plan', '--node', 'node-2', '-n', 'causeway-system')
  assert.equal(one.stdout, '# node-2: the kernel is as it should be\n')
})

test('the kubeconfig of a lab leads to its sockets, another one to the API, and kubectl finds the plugin', () => {
  const near = run(causeway, ['plan', '--json'], { KUBECONFIG: lab.kubeconfig })
  assert.ok(answersOf(near).every(({ pod, value }) => pod === undefined && value !== undefined))
  const copy = join(folder, 'kubeconfig')
  writeFileSync(copy, readFileSync(lab.kubeconfig))
  const env = { KUBECONFIG: copy, PATH: `${join(plugin, '..')}:${process.env['PATH']}` }
  const far = run('kubectl', ['causeway', 'plan', '--json'], env)
  assert.deepEqual(
    answersOf(far).map(({ pod }) => pod),
    nodes.map(podOf),
    far.stderr,
  )
  const wrong = run('kubectl', ['causeway', 'plan', '--context', 'elsewhere'], env)
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /there is no context "elsewhere"; there are: causeway-t/)
})

test('credentials that are refused, and a namespace without agents, are told', () => {
  const bad = join(folder, 'bad')
  writeFileSync(bad, readFileSync(lab.kubeconfig, 'utf8').replace(/token: .*/, 'token: nonsense'))
  const refused = run(causeway, ['plan', '--kubeconfig', bad])
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /^causeway: the agents cannot be found: the API server does not accept the credentials/)
  const empty = ask('plan', '--namespace', 'default')
  assert.equal(empty.status, 1)
  assert.match(empty.stderr, /^causeway: no pod in the namespace default has a label /)
  const nobody = ask('plan', '--node', 'node-9')
  assert.equal(nobody.status, 2)
  assert.equal(nobody.stderr, 'causeway: --node node-9: the cluster has agents on node-1, node-2, node-3\n')
})

test('a stream goes on until somebody ends it, and leaves no relay behind', async () => {
  const follow = spawn(causeway, ['policy', 'denials', '--follow', '--json', '--kubeconfig', lab.kubeconfig])
  const exited = once(follow, 'exit')
  await eventually('a relay on each node', () => relays().length === 3)
  // longer than an agent may be silent
  await sleep(11_000)
  assert.equal(relays().length, 3)
  assert.equal(follow.exitCode, null)
  follow.kill('SIGINT')
  assert.deepEqual(await exited, [0, null])
  await eventually('no relay', () => relays().length === 0)
})

test('a dead agent is one line, and the others answer all the same', async () => {
  lab.kill('agent-node-2')
  const atOnce = ask('plan', '--json')
  assert.equal(atOnce.status, 1)
  const [one, two, three] = answersOf(atOnce)
  assert.ok(one?.value !== undefined && three?.value !== undefined)
  assert.equal(two?.pod, podOf('node-2'))
  assert.match(
    two.error!,
    /^(the agent in pod causeway-system\/causeway-agent-node-2 does not answer: causeway-api-relay: \S+agent\.sock: Connection refused|pod causeway-system\/causeway-agent-node-2 does not run: .*)$/,
  )
  await eventually("that the pod's status says it", () => /does not run/.test(ask('plan', '--node', 'node-2').stdout))
  const lines = ask('plan').stdout.trimEnd().split('\n\n')
  assert.deepEqual(
    lines.slice(0, 2),
    ['node-1', 'node-3'].map((node) => `# ${node}: the kernel is as it should be`),
  )
  assert.equal(
    lines[2],
    '# node-2: pod causeway-system/causeway-agent-node-2 does not run: its container has ended, with exit status 137 (Error); see: kubectl -n causeway-system logs causeway-agent-node-2',
  )
})
