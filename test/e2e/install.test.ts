// `causeway install` and `uninstall` as a user meets them, with kubectl and the lab's API server in the place of a cluster.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { at, TestServer } from '#/lab/api/testing.ts'
import { causeway, type Run } from './harness.ts'

const required = ['--image', 'example/causeway:1', '--cluster-cidrs', '10.244.0.0/16,fd10:244::/48']
const daemonSetPath = '/apis/apps/v1/namespaces/causeway-system/daemonsets/causeway-agent'
const listedKinds =
  'customresourcedefinitions,namespaces,serviceaccounts,clusterroles,clusterrolebindings,roles,rolebindings,daemonsets,deployments'

suite('install', () => {
  let server: TestServer
  let env: Record<string, string | undefined>

  /** The server lives in this very process: it must be able to answer while the command runs. */
  async function run(command: string, args: readonly string[], input = ''): Promise<Run> {
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (chunk: Buffer) => (output[name] += chunk.toString()))
    child.stdin.end(input)
    const [status] = (await once(child, 'close')) as [number | null]
    return { status, ...output }
  }

  async function ok(command: string, args: readonly string[], input = ''): Promise<string> {
    const { status, stdout, stderr } = await run(command, args, input)
    assert.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }

  async function ours(): Promise<string[]> {
    const selector = 'app.kubernetes.io/part-of=causeway'
    const names = await ok('kubectl', ['get', listedKinds, '-A', '-l', selector, '-o', 'name'])
    return names.split('\n').filter(Boolean)
  }

  before(async () => {
    server = await TestServer.start()
    const kubeconfig = join(server.directory, 'kubeconfig')
    writeKubeconfig(kubeconfig, {
      server: server.url,
      ca: server.certificates.ca,
      token: server.token,
      name: 'cluster',
    })
    env = { ...process.env, KUBECONFIG: kubeconfig, HOME: server.directory }
  })
  after(() => server[Symbol.asyncDispose]())

  test('kubectl takes what is printed, field by field, and deletes what uninstall prints', async () => {
    const yaml = await ok(causeway, ['install', ...required, '--controller', 'yes'])
    const applied = await ok('kubectl', ['apply', '--validate=true', '-f', '-'], yaml)
    assert.equal(applied.trim().split('\n').length, 20)
    assert.match(applied, /daemonset.apps\/causeway-agent created/)
    assert.match(await ok('kubectl', ['apply', '-f', '-'], yaml), /^(\S+ unchanged\n)+$/)
    await ok('kubectl', ['delete', '-f', '-'], await ok(causeway, ['uninstall']))
    assert.deepEqual(await ours(), [])
  })

  test('a mistake is told with the option and what was expected', async () => {
    const wrong: [string[], RegExp][] = [
      [[], /--image is missing/],
      [['--image', 'x'], /--cluster-cidrs is missing/],
      [['--image', 'x', '--cluster-cidrs', '10.244.0.0'], /--cluster-cidrs: .*10\.244\.0\.0/],
      [[...required, '--controller', 'maybe'], /--controller "maybe": expected yes, status, no/],
      [[...required, '--port', '70000'], /--port "70000": expected a number from 1 to 65535/],
      [[...required, '--api-server', 'fd00::1:6443'], /--api-server .*\[fd00::1\]:6443/],
      [[...required, '--cni-chain', 'firewall'], /expected some of portmap, bandwidth, tuning/],
      [[...required, '--namespace', 'A'], /--namespace "A": expected lower-case/],
    ]
    for (const [args, message] of wrong) {
      const { status, stderr } = await run(causeway, ['install', ...args])
      assert.equal(status, 2)
      assert.match(stderr, message)
    }
    const noCluster = spawnSync(causeway, ['install', ...required, '--apply'], {
      encoding: 'utf8',
      env: { ...process.env, KUBECONFIG: '' },
    })
    assert.match(noCluster.stderr, /no cluster is given: use --kubeconfig FILE, or set KUBECONFIG/)
  })

  test('--apply installs, upgrades and takes back what is not wanted any more; others keep their fields', async () => {
    const dry = await ok(causeway, ['install', ...required, '--dry-run'])
    assert.match(dry, /Namespace causeway-system would be applied/)
    assert.deepEqual(await ours(), [])
    await ok(causeway, ['install', ...required, '--apply', '--controller', 'yes'])
    assert.equal((await ours()).length, 20)
    await ok('kubectl', ['-n', 'causeway-system', 'annotate', 'daemonset', 'causeway-agent', 'note=mine'])
    const again = await ok(causeway, [
      'install',
      ...required.with(1, 'example/causeway:2'),
      '--apply',
      '--pull-timeout',
      '1',
    ])
    // nobody acts on DaemonSets here
    assert.match(again, /^no node has pulled example\/causeway:2 first: the DaemonSet controller has not acted\n/)
    assert.match(again, /DaemonSet causeway-system\/causeway-agent applied/)
    assert.doesNotMatch(await ok('kubectl', ['get', 'daemonsets', '-A', '-o', 'name']), /pull/)
    assert.match(again, /Deployment causeway-system\/causeway-controller deleted/)
    assert.deepEqual(
      (await ours()).filter((name) => name.includes('controller')),
      [],
    )
    const live = await server.call(daemonSetPath)
    assert.match(live.text, /example\/causeway:2/)
    assert.equal(at(live, 'metadata', 'annotations', 'note'), 'mine')
  })

  test('uninstall cleans every node, waits for them, and deletes everything', async () => {
    assert.match(await ok(causeway, ['uninstall', '--dry-run']), /DaemonSet .*would be deleted/)
    assert.equal((await ours()).length > 0, true)
    // a field of the container has another owner
    await ok('kubectl', ['-n', 'causeway-system', 'set', 'env', 'daemonset/causeway-agent', 'NOTE=mine'])
    const { status, stderr } = await run(causeway, ['uninstall', '--apply', '--timeout', '1'])
    assert.equal(status, 1)
    assert.match(stderr, /after 1 s the DaemonSet controller has not acted; nothing was deleted/)
    assert.equal((await ours()).length > 0, true, 'nothing goes before the nodes are clean')

    await ok(causeway, ['install', ...required, '--apply'])
    const reinstalled = (await server.call(daemonSetPath)).text
    assert.ok(reinstalled.includes('"name":"agent"') && !reinstalled.includes('"clean"'), 'there is a way back')

    const annotations = {
      'causeway.dev/routing-state': '{}',
      'causeway.dev/datapath-state': '{"name":"ebpf"}',
      mine: 'stays',
    }
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', annotations } }
    await ok('kubectl', ['create', '-f', '-'], JSON.stringify(node))
    const refused = await run(causeway, ['install', ...required, '--apply'])
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /pods of n1 have the eBPF datapath: use --datapath ebpf as before/)
    await ok(causeway, ['install', ...required, '--datapath', 'ebpf', '--apply'])
    assert.match((await server.call(daemonSetPath)).text, /"\/host\/sys\/fs\/bpf"/)
    const uninstalled = ok(causeway, ['uninstall', '--apply'])
    // in the place of the DaemonSet controller: three nodes, one after the other
    let live = await server.call(daemonSetPath)
    while (!live.text.includes('"clean"')) {
      await sleep(50)
      live = await server.call(daemonSetPath)
    }
    for (let ready = 0; ready <= 3; ready++) {
      live = await server.call(daemonSetPath)
      const observedGeneration = Number(at(live, 'metadata', 'generation'))
      const counts = { desiredNumberScheduled: 3, updatedNumberScheduled: ready, numberReady: ready }
      const { code, text } = await server.call(`${daemonSetPath}/status`, {
        method: 'PATCH',
        type: 'application/merge-patch+json',
        body: { status: { observedGeneration, currentNumberScheduled: 3, numberMisscheduled: 0, ...counts } },
      })
      assert.equal(code, 200, text)
      assert.match(live.text, /"args":\["clean","--files"\]/)
      assert.ok(!live.text.includes('"name":"agent"'), 'on no node the agent and the clean-up run at once')
      await sleep(300)
    }
    assert.match(await uninstalled, /^3 nodes cleaned\n/)
    const nodes = await ok('kubectl', ['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.annotations}'])
    assert.match(nodes, /mine/)
    assert.doesNotMatch(nodes, /routing-state|datapath-state/)
    assert.deepEqual(await ours(), [])
    assert.match(await ok(causeway, ['uninstall', '--apply']), /no agents in namespace causeway-system/)
    // a reader that ends does not end it half-way
    await ok(causeway, ['install', ...required, '--apply'])
    assert.match(await ok('sh', ['-c', `${causeway} uninstall --apply --keep-nodes | head -1`]), /^\S+ .*deleted\n$/)
    assert.deepEqual(await ours(), [])
  })
})
