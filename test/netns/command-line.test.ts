// The program as processes: a reader that goes away, signals at any moment, the version of the bundle.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeWhole } from '#/cli/whole-file.ts'
import { run } from '../e2e/harness.ts'

const root = new URL('../..', import.meta.url).pathname
const main = join(root, 'src/cli/main.ts')
const node = [process.execPath, '--disable-warning=ExperimentalWarning']
const shown = `causeway ${(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version}\n`

/** Runs `script` in bash, where `causeway` is the program; PIPESTATUS is bash's. */
function shell(script: string): { stdout: string; stderr: string } {
  const { stdout, stderr } = spawnSync('bash', ['-c', `causeway() { ${node.join(' ')} ${main} "$@"; }; ${script}`], {
    encoding: 'utf8',
  })
  return { stdout, stderr }
}

test('a reader that goes away ends no command, and makes no noise', () => {
  for (const command of ['help', 'help lab up', 'install --image i --cluster-cidrs 10.0.0.0/8', 'completion bash']) {
    const { stdout, stderr } = shell(`causeway ${command} | true; echo "\${PIPESTATUS[0]}"`)
    assert.equal(stderr, '', command)
    assert.equal(stdout, '0\n', command)
  }
  // nobody hears what is wrong: the exit status still says it
  assert.equal(shell('{ causeway frobnicate; echo $? >&3; } 3>&1 2>&1 >/dev/null | cat').stdout.includes('2'), true)
  assert.equal(shell('exec 3>&1; { causeway frobnicate; echo $? >&3; } 2> >(true)').stdout, '2\n')
})

test('output that could not be written for another reason is told', () => {
  const { stdout, stderr } = shell('causeway help > /dev/full; echo $?')
  assert.equal(stdout, '1\n')
  assert.match(stderr, /^causeway: the output could not be written: .*ENOSPC/)
})

test('a full disk leaves no part of a file, and what was there before', () => {
  const dir = mkdtempSync('/tmp/cw-full-')
  using made = new DisposableStack()
  made.defer(() => rmSync(dir, { recursive: true }))
  assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', dir]).status, 0)
  made.defer(() => run('umount', [dir]))
  const path = join(dir, 'page.html')
  writeWhole(path, 'first')
  assert.throws(() => writeWhole(path, 'x'.repeat(100_000)), { code: 'ENOSPC' })
  assert.deepEqual([readdirSync(dir), readFileSync(path, 'utf8')], [['page.html'], 'first'])
  writeWhole('/dev/null', 'to what is no file')
})

test('the version is that of package.json, from source and from the bundle', () => {
  assert.equal(run(join(root, 'causeway'), ['version']).stdout, shown)
  assert.equal(run(join(root, 'causeway'), ['--version']).stdout, shown)
  assert.equal(run('sh', [join(root, 'scripts/setup.sh'), 'run']).status, 0)
  const bundled = run('sh', [join(root, 'scripts/run.sh'), 'build/bundle/causeway.cjs', '--version'])
  assert.equal(bundled.stdout, shown, bundled.stderr)
})

test('commands that ask a cluster elsewhere build nothing, and need nobody to be root', () => {
  const dir = mkdtempSync('/tmp/cw-door-')
  try {
    for (const part of ['causeway', 'scripts', 'src', 'package.json', 'package-lock.json'])
      cpSync(join(root, part), join(dir, part), { recursive: true, preserveTimestamps: true })
    symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
    for (const command of [['status'], ['doctor'], ['support-bundle'], ['trace', 'web-1', 'web-2']]) {
      const asked = [...command, '--kubeconfig', '/nonexistent']
      const { stderr } = run(join(dir, 'causeway'), asked)
      assert.match(stderr, /^causeway: kubeconfig \/nonexistent: cannot be read/, command.join(' '))
    }
    assert.ok(!existsSync(join(dir, 'build')), 'nothing was built')
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('the same mistake has the same exit status everywhere', () => {
  for (const args of [
    ['frobnicate'],
    ['lab', 'frobnicate'],
    ['lab'],
    ['--frobnicate'],
    ['help', 'frobnicate'],
    ['status', '--frobnicate'],
    ['bgp', 'peers', 'surplus'],
    ['lab', 'up', '--routing', 'x'],
    ['bgp', 'speak', '--stop-as', 'x', 'file'],
    ['agent'],
    ['completion', 'tcsh'],
  ]) {
    const { status, stderr } = run(node[0]!, [...node.slice(1), main, ...args])
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, /^causeway: .+\n$/)
  }
})

/** Starts node as process 1 of a namespace of its own. */
function asFirst(dir: string, env: Record<string, string>, ...args: readonly string[]): ChildProcess {
  const command = ['--net', '--pid', '--fork', '--kill-child', ...node, ...args]
  return spawn('unshare', command, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CAUSEWAY_RUN_DIR: join(dir, 'run'), CAUSEWAY_STATE_DIR: join(dir, 'state'), ...env },
  })
}

/** The program's own process, once it is there. */
async function firstOf(child: ChildProcess): Promise<number> {
  for (;;) {
    const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
    if (pids !== '') return Number(pids.split(' ')[0])
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('process 1 that is asked to end before it is up ends', async () => {
  const dir = mkdtempSync('/tmp/causeway-signals-')
  // the namespace has no network: no API answers
  const kubeconfig = join(dir, 'kubeconfig')
  const cluster = {
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:6443` } }],
    users: [{ name: 'u', user: {} }],
  }
  const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }]
  mkdirSync(join(dir, 'run'))
  writeFileSync(kubeconfig, JSON.stringify({ ...cluster, contexts, 'current-context': 'x' }))
  const speaker = join(dir, 'speaker.json')
  writeFileSync(speaker, JSON.stringify({ asn: 65_000, routerId: '10.0.0.1' }))
  const env = { CAUSEWAY_KUBECONFIG: kubeconfig, CAUSEWAY_NODE_NAME: 'n', CAUSEWAY_CLUSTER_CIDRS: '10.0.0.0/8' }
  try {
    for (const args of [['agent'], ['controller'], ['bgp', 'speak', speaker]]) {
      const child = asFirst(dir, env, main, ...args)
      let told = ''
      for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk: Buffer) => (told += String(chunk)))
      const exited = once(child, 'exit') as Promise<[number | null]>
      const pid = await firstOf(child)
      // its first line: it has begun, and cannot be connected
      await Promise.race([once(child.stdout!, 'data'), exited])
      process.kill(pid, 'SIGTERM')
      const [status] = await exited
      assert.equal(status, 0, `${args.join(' ')}: ${told}`)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('process 1 that is asked to end before its command has begun ends', async () => {
  const signals = join(root, 'src/cli/signals.ts')
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const script = `import(${JSON.stringify(signals)}).then(() => { console.log('loaded'); setInterval(() => {}, 1000) })`
    const child = asFirst('/nonexistent', {}, '-e', script)
    const exited = once(child, 'exit')
    await once(child.stdout!, 'data')
    process.kill(await firstOf(child), signal)
    assert.deepEqual(await exited, [status, null])
  }
})
