import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually, ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type CniInstallConfig } from './config.ts'
import { CniInstaller } from './installer.ts'

class Scene implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'cni-install-'))
  readonly clock = new ManualClock()
  readonly config: CniInstallConfig
  readonly installer: CniInstaller
  canServe = true
  changes = 0

  constructor(more: Partial<CniInstallConfig> = {}) {
    this.config = {
      binDir: join(this.root, 'opt/cni/bin'),
      confDir: join(this.root, 'etc/cni/net.d'),
      plugin: join(this.root, 'causeway-cni'),
      chain: undefined,
      ...more,
    }
    writeFileSync(join(this.root, 'causeway-cni'), 'new plugin')
    this.installer = new CniInstaller(this.config, {
      canServe: () => this.canServe,
      onChange: () => this.changes++,
      log: silent,
      clock: this.clock,
    })
  }

  get plugin(): string {
    return join(this.config.binDir, 'causeway-cni')
  }

  get conflist(): string {
    return join(this.config.confDir, '10-causeway.conflist')
  }

  /** A plugin that speaks these versions. */
  putPlugin(name: string, ...versions: readonly string[]): void {
    const answer = JSON.stringify({ cniVersion: '1.0.0', supportedVersions: versions })
    this.putBin(name, `#!/bin/sh\n[ "$CNI_COMMAND" = VERSION ] && echo '${answer}'\n`)
  }

  putBin(name: string, content = 'x'): void {
    mkdirSync(this.config.binDir, { recursive: true })
    writeFileSync(join(this.config.binDir, name), content, { mode: 0o755 })
  }

  putConf(name: string, content: unknown = {}): void {
    mkdirSync(this.config.confDir, { recursive: true })
    writeFileSync(join(this.config.confDir, name), JSON.stringify(content))
  }

  get list(): { cniVersion: string; cniVersions: string[]; plugins: { type: string }[] } {
    return JSON.parse(readFileSync(this.conflist, 'utf8')) as Scene['list']
  }

  types(): string[] {
    return this.list.plugins.map(({ type }) => type)
  }

  /** Plugins take a moment to answer which versions they speak. */
  async chains(...types: readonly string[]): Promise<void> {
    const isSo = (): boolean => existsSync(this.conflist) && this.types().join() === ['causeway-cni', ...types].join()
    await eventually(isSo, `a chain of ${types.join(', ')}`)
  }

  problems(): string[] {
    return this.installer.problems.map(({ object, message }) => `${object.replace(this.root, '')}: ${message}`)
  }

  [Symbol.dispose](): void {
    this.installer[Symbol.dispose]()
    rmSync(this.root, { recursive: true })
  }
}

test('plugin and configuration are installed, for root to run and to read, and nothing else is left', () => {
  using scene = new Scene()
  scene.installer.start()
  assert.equal(readFileSync(scene.plugin, 'utf8'), 'new plugin')
  assert.equal(statSync(scene.plugin).mode & 0o777, 0o755)
  assert.equal(statSync(scene.conflist).mode & 0o777, 0o600)
  assert.deepEqual(JSON.parse(readFileSync(scene.conflist, 'utf8')), {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'causeway',
    plugins: [
      {
        type: 'causeway-cni',
        capabilities: {
          ips: true,
          mac: true,
          portMappings: true,
          bandwidth: true,
          'io.kubernetes.cri.pod-annotations': true,
        },
        chained: [],
      },
    ],
  })
  assert.deepEqual(readdirSync(scene.config.binDir), ['causeway-cni'])
  assert.deepEqual(readdirSync(scene.config.confDir), ['10-causeway.conflist'])
  assert.deepEqual(scene.problems(), [])
})

test('a file that is right already is not written again', async () => {
  using scene = new Scene()
  scene.installer.start()
  const inodes = (): number[] => [scene.plugin, scene.conflist].map((path) => statSync(path).ino)
  const before = inodes()
  await scene.clock.advance(60_000)
  assert.deepEqual(inodes(), before)
  // as an agent that starts anew
  using second = new CniInstaller(scene.config, { canServe: () => true, onChange() {}, log: silent })
  second.start()
  assert.deepEqual(inodes(), before)
})

test('files that are taken away or changed come back', async () => {
  using scene = new Scene()
  scene.installer.start()
  rmSync(scene.conflist)
  writeFileSync(scene.plugin, 'other text')
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.types(), ['causeway-cni'])
  assert.equal(readFileSync(scene.plugin, 'utf8'), 'new plugin')
  chmodSync(scene.plugin, 0o600)
  await scene.clock.advance(10_000)
  assert.equal(statSync(scene.plugin).mode & 0o777, 0o755)
})

test('a plugin that runs is replaced', async (t) => {
  using scene = new Scene()
  mkdirSync(scene.config.binDir, { recursive: true })
  copyFileSync('/bin/sleep', scene.plugin)
  const child = spawn(scene.plugin, ['60'])
  t.after(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  scene.installer.start()
  assert.deepEqual(scene.problems(), [])
  assert.equal(readFileSync(scene.plugin, 'utf8'), 'new plugin')
})

test('the configuration comes last: not before pods can be wired, and at once when they can', async () => {
  using scene = new Scene()
  scene.canServe = false
  scene.installer.notice()
  assert.ok(!existsSync(scene.plugin), 'nothing before the start')
  scene.installer.start()
  assert.ok(existsSync(scene.plugin))
  await scene.clock.advance(120_000)
  assert.ok(!existsSync(scene.conflist))
  assert.deepEqual(scene.problems(), [])
  scene.canServe = true
  scene.installer.notice()
  assert.ok(existsSync(scene.conflist))
})

test('the configuration is removed when the node has had no pod network for a minute, not sooner', async () => {
  using scene = new Scene()
  scene.installer.start()
  const serve = (canServe: boolean): void => {
    scene.canServe = canServe
    scene.installer.notice()
  }
  for (let hiccup = 0; hiccup < 3; hiccup++) {
    serve(false)
    await scene.clock.advance(50_000)
    assert.ok(existsSync(scene.conflist))
    serve(true)
    await scene.clock.advance(1_000)
  }
  serve(false)
  await scene.clock.advance(70_000)
  assert.ok(!existsSync(scene.conflist))
  serve(true)
  assert.ok(existsSync(scene.conflist))
})

test('a configuration that an earlier agent left also stays for a minute', async () => {
  using scene = new Scene()
  scene.putConf('10-causeway.conflist')
  scene.canServe = false
  scene.installer.start()
  await scene.clock.advance(50_000)
  assert.ok(existsSync(scene.conflist))
  await scene.clock.advance(20_000)
  assert.ok(!existsSync(scene.conflist))
})

test('an end of the agent leaves everything as it is', async () => {
  using scene = new Scene()
  scene.installer.start()
  scene.installer[Symbol.dispose]()
  scene.canServe = false
  await scene.clock.advance(600_000)
  assert.ok(existsSync(scene.conflist))
  assert.equal(scene.clock.nextMs, undefined)
})

const all = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']

test('portmap is chained when it is there, and others when asked for', async () => {
  using scene = new Scene()
  scene.installer.start()
  assert.deepEqual(scene.types(), ['causeway-cni'])
  scene.putPlugin('portmap', ...all)
  scene.putPlugin('bandwidth', ...all)
  await scene.clock.advance(10_000)
  await scene.chains('portmap')

  using asked = new Scene({ chain: ['bandwidth', 'portmap'] })
  asked.putPlugin('bandwidth', ...all)
  asked.installer.start()
  assert.ok(!existsSync(asked.conflist), 'not before it is known what it must say')
  await asked.chains('bandwidth')
  assert.deepEqual(asked.problems(), [
    'file/opt/cni/bin/portmap: CAUSEWAY_CNI_CHAIN wants it, and it is not there; it is left out of the chain',
  ])
  assert.match(asked.installer.problems[0]!.remedy, /install the CNI reference plugins/)
  asked.putPlugin('portmap', ...all)
  await asked.clock.advance(10_000)
  await asked.chains('bandwidth', 'portmap')
  assert.deepEqual(asked.problems(), [])
  assert.equal(asked.changes, 2)

  using none = new Scene({ chain: [] })
  none.putPlugin('portmap', ...all)
  none.installer.start()
  assert.deepEqual(none.types(), ['causeway-cni'])
})

test('the configuration offers the versions that the whole chain speaks, and follows a plugin that is replaced', async () => {
  using scene = new Scene()
  const offer = () => [scene.list.cniVersion, ...scene.list.cniVersions]
  scene.putPlugin('portmap', '0.3.1', '0.4.0', '1.0.0')
  scene.installer.start()
  await scene.chains('portmap')
  assert.deepEqual(offer(), ['1.0.0', '0.3.1', '0.4.0', '1.0.0'])
  scene.putPlugin('portmap', '0.1.0', '0.4.0')
  await scene.clock.advance(10_000)
  await eventually(() => offer().join() === '0.4.0,0.4.0', 'the offer of an old plugin')
  scene.putPlugin('portmap', ...all)
  await scene.clock.advance(10_000)
  await eventually(() => offer().join() === `1.0.0,${all.join()}`, 'the offer of a new plugin')
  assert.deepEqual(scene.problems(), [])
})

test('a chained plugin that cannot be used is left out and reported as a problem', async () => {
  const why: [put: (scene: Scene) => void, words: RegExp][] = [
    [
      (scene) => scene.putPlugin('portmap', '0.2.0'),
      /it speaks CNI 0\.2\.0, and no version that all others speak; it is left out/,
    ],
    [(scene) => scene.putPlugin('portmap'), /it speaks CNI in no version/],
  ]
  for (const [put, words] of why) {
    using scene = new Scene()
    put(scene)
    scene.installer.start()
    await scene.chains()
    assert.match(scene.problems().join(), words)
  }
})

test('a chained plugin that does not answer stays, with the versions that all plugins have, and is reported as a problem', async () => {
  const put: [put: (scene: Scene) => void, words: RegExp][] = [
    [(scene) => scene.putBin('portmap', '#!/bin/sh\nexit 3\n'), /Command failed/],
    [(scene) => scene.putBin('portmap', '#!/bin/sh\necho {}\n'), /its answer has no supportedVersions/],
    [(scene) => scene.putBin('portmap', '\x7fELF of another machine'), /does not tell which CNI versions it speaks/],
    [(scene) => symlinkSync('portmap', join(scene.config.binDir, 'portmap')), /ELOOP/],
  ]
  for (const [make, words] of put) {
    using scene = new Scene()
    mkdirSync(scene.config.binDir, { recursive: true })
    make(scene)
    scene.installer.start()
    await scene.chains('portmap')
    assert.match(scene.problems().join(), words)
    assert.deepEqual(scene.list.cniVersions, ['0.3.1', '0.4.0', '1.0.0'])
  }
  // one that somebody is writing just now
  using scene = new Scene()
  scene.putPlugin('portmap', ...all)
  const held = openSync(join(scene.config.binDir, 'portmap'), 'r+')
  scene.installer.start()
  await scene.chains('portmap')
  assert.match(scene.problems().join(), /ETXTBSY/)
  closeSync(held)
})

test("a configuration that runtimes use instead of Causeway's is a problem for as long as it is there", async () => {
  using scene = new Scene()
  for (const name of ['05-other.conf', '00-readme.txt', '.10-other.conflist.new', '99-loopback.conf'])
    scene.putConf(name)
  scene.installer.start()
  assert.deepEqual(scene.problems(), [
    "file/etc/cni/net.d/05-other.conf: container runtimes use this CNI configuration instead of 10-causeway.conflist: pods do not get Causeway's network",
  ])
  assert.match(scene.installer.problems[0]!.remedy, /drain the node, move the file out of the folder/)
  assert.equal(scene.changes, 1)
  rmSync(join(scene.config.confDir, '05-other.conf'))
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.problems(), [])
  assert.equal(scene.changes, 2)
})

test("a plugin that another program added stays, is asked for its versions, and is a problem of that program's when it is missing", async () => {
  using scene = new Scene()
  scene.putConf('10-causeway.conflist', { plugins: [{ type: 'causeway-cni' }, { type: 'mesh-cni', log: 'debug' }] })
  scene.putPlugin('mesh-cni', '0.4.0', '1.0.0')
  scene.installer.start()
  await eventually(() => scene.list.cniVersions?.join() === '0.4.0,1.0.0', 'the versions of both')
  assert.deepEqual(scene.types(), ['causeway-cni', 'mesh-cni'])
  assert.deepEqual(scene.problems(), [])
  rmSync(join(scene.config.binDir, 'mesh-cni'))
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.types(), ['causeway-cni', 'mesh-cni'])
  assert.match(scene.problems().join(), /mesh-cni: another program put it into .* runtimes set up no pod without it$/)
  assert.match(scene.installer.problems[0]!.remedy, /take its entry out of 10-causeway\.conflist/)
})

test('a configuration before ours that leads to ours is no problem, nor is one that comes after it', () => {
  const leading = [
    { type: 'multus-shim', clusterNetwork: '/host/etc/cni/net.d/10-causeway.conflist' },
    { type: 'multus', clusterNetwork: 'causeway' },
    { type: 'multus', delegates: [{ name: 'causeway', plugins: [{ type: 'causeway-cni' }] }] },
    { name: 'mesh', plugins: [{ type: 'causeway-cni' }, { type: 'mesh-cni' }] },
  ]
  for (const conf of leading) {
    using scene = new Scene()
    scene.putConf('00-multus.conf', conf)
    scene.putConf('05-other.conf', { type: 'bridge' })
    scene.installer.start()
    assert.deepEqual(scene.problems(), [], JSON.stringify(conf))
  }
  using scene = new Scene()
  scene.putConf('00-multus.conf', { type: 'multus-shim', clusterNetwork: '/host/etc/cni/net.d/10-other.conflist' })
  mkdirSync(join(scene.config.confDir, '05-folder.conf'))
  scene.installer.start()
  assert.equal(scene.problems().length, 2)
})

test('without any plugin in place there is no configuration; an older plugin serves', async () => {
  using scene = new Scene({ plugin: '/nonexistent/causeway-cni' })
  scene.installer.start()
  assert.ok(!existsSync(scene.conflist))
  assert.match(
    scene.problems()[0]!,
    /^file\/opt\/cni\/bin\/causeway-cni: the CNI plugin cannot be installed: ENOENT.*\/nonexistent\/causeway-cni/,
  )
  scene.putBin('causeway-cni', 'older')
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.types(), ['causeway-cni'])
  assert.equal(scene.problems().length, 1)
})

test('a folder that cannot be used is a problem, and is filled once it can be used', async () => {
  using scene = new Scene()
  mkdirSync(join(scene.root, 'etc/cni'), { recursive: true })
  writeFileSync(scene.config.confDir, 'a file where the folder should be')
  scene.installer.start()
  assert.match(
    scene.problems()[0]!,
    /^file\/etc\/cni\/net.d\/10-causeway.conflist: the CNI configuration cannot be written: E/,
  )
  rmSync(scene.config.confDir)
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.problems(), [])
  assert.ok(existsSync(scene.conflist))
})
