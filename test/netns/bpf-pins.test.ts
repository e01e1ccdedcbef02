// Pins in a bpffs, maps that the next object takes over, and what failures say; bpftool is the independent reader.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { BpfError } from '#/kernel/bpf/error.ts'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { loadObject } from '#/kernel/bpf/object.ts'
import { isBpffs, listPins, makePinFolder, removePinFolder, unpin } from '#/kernel/bpf/pins.ts'
import { BpfProgram } from '#/kernel/bpf/program.ts'
import { TypedMap } from './typed-map.ts'
import { Struct } from '#/wire/bpf/layout.ts'
import { probeObject, TestBpffs } from './bpf-fixture.ts'

const root = new URL('../..', import.meta.url).pathname
const index = new Struct('index', { index: 'u32' })
const count = new Struct('count', { packets: 'u64', bytes: 'u64' })
const hash = { type: 'hash', key: index, value: count, maxEntries: 1024 } as const

const failsWith = (pattern: RegExp, code?: string) => (error: unknown) => {
  assert.ok(error instanceof BpfError, String(error))
  assert.match(error.message, pattern)
  assert.equal(error.code, code)
  return true
}

/** What bpftool says of a pinned object. */
function bpftool(...args: string[]): Record<string, unknown> {
  const { status, stdout, stderr } = spawnSync('bpftool', ['-j', ...args], { encoding: 'utf8' })
  assert.equal(status, 0, stderr + stdout)
  return JSON.parse(stdout) as Record<string, unknown>
}

test('what is pinned outlives its object, and is found by its path', async () => {
  using bpffs = new TestBpffs()
  const folder = join(bpffs.path, 'causeway/generation/maps')
  makePinFolder(folder)
  makePinFolder(folder)
  assert.ok(isBpffs(folder))
  const [mapPath, programPath] = [join(folder, 'pt_hash'), join(bpffs.path, 'causeway', 'pt_drop_all_packets')]
  {
    using object = await loadObject({ bytes: probeObject() })
    new TypedMap(object.maps.get('pt_hash')!, hash).set({ index: 3 }, { packets: 5n, bytes: 6n })
    object.maps.get('pt_hash')!.pin(mapPath)
    object.programs.get('pt_drop_all_packets')!.pin(programPath)
    assert.throws(() => object.maps.get('pt_hash')!.pin(mapPath), failsWith(/map pt_hash: pin as .*: EEXIST/, 'EEXIST'))
  }
  using map = BpfMap.openPinned(mapPath)
  using program = BpfProgram.openPinned(programPath)
  assert.deepEqual(new TypedMap(map, hash).get({ index: 3 }), { packets: 5n, bytes: 6n })
  const told = bpftool('map', 'show', 'pinned', mapPath)
  assert.deepEqual(
    [told['id'], told['bytes_key'], told['max_entries']],
    [map.info.id, map.info.keyBytes, map.info.maxEntries],
  )
  const toldProgram = bpftool('prog', 'show', 'pinned', programPath)
  const { id, tag, jitedBytes, xlatedBytes, mapIds } = program.info
  assert.deepEqual(
    [
      toldProgram['id'],
      toldProgram['tag'],
      toldProgram['bytes_jited'],
      toldProgram['bytes_xlated'],
      toldProgram['map_ids'],
    ],
    [id, tag, jitedBytes, xlatedBytes, [...mapIds]],
  )
  using same = BpfProgram.byId(id)
  assert.deepEqual(same.info, program.info)
  using sameMap = BpfMap.byId(map.info.id)
  assert.deepEqual(sameMap.info, map.info)
  assert.deepEqual(listPins(folder), ['pt_hash'])
  assert.equal(unpin(mapPath), true)
  assert.equal(unpin(mapPath), false)
  assert.throws(() => BpfMap.openPinned(mapPath), failsWith(/^open .*pt_hash: ENOENT$/, 'ENOENT'))
  assert.throws(() => new TypedMap(map, { ...hash, value: index }), failsWith(/valueBytes 16 instead of 4/))
  removePinFolder(join(bpffs.path, 'causeway'))
  assert.deepEqual(listPins(join(bpffs.path, 'causeway')), [])
  removePinFolder(join(bpffs.path, 'causeway'))
})

test('a bpffs takes no name with a dot, and says so', async () => {
  using bpffs = new TestBpffs()
  using object = await loadObject({ bytes: probeObject() })
  assert.throws(
    () => object.maps.get('pt_hash')!.pin(join(bpffs.path, 'eth0.7')),
    failsWith(/eth0\.7: EPERM: a bpffs takes no name with a dot$/, 'EPERM'),
  )
  assert.throws(
    () => makePinFolder(join(bpffs.path, 'cause.way', 'maps')),
    failsWith(/^make the folder .*cause\.way: EPERM: a bpffs takes no name with a dot$/, 'EPERM'),
  )
  assert.throws(
    () => object.maps.get('pt_hash')!.pin(join(bpffs.path, 'none', 'map')),
    failsWith(/ENOENT: the folder is not there$/, 'ENOENT'),
  )
})

test('an object takes the maps that it is given, and refuses one that does not fit', async () => {
  using before = await loadObject({ bytes: probeObject() })
  const map = before.maps.get('pt_hash')!
  new TypedMap(map, hash).set({ index: 1 }, { packets: 1n, bytes: 1n })
  using after = await loadObject({ bytes: probeObject(), maps: new Map([['pt_hash', map]]) })
  assert.equal(after.maps.get('pt_hash')!.info.id, map.info.id)
  assert.notEqual(after.maps.get('pt_counts')!.info.id, before.maps.get('pt_counts')!.info.id)
  assert.deepEqual(after.programs.get('pt_first')!.info.mapIds, [after.maps.get('pt_counts')!.info.id])
  await assert.rejects(
    loadObject({ bytes: probeObject(), maps: new Map([['pt_trie', map]]) }),
    failsWith(/^map pt_trie: the one in the kernel does not fit the object file: type hash instead of lpm_trie/),
  )
})

test('what is no bpffs is told as that', async () => {
  using object = await loadObject({ bytes: probeObject() })
  const folder = mkdtempSync(join(tmpdir(), 'no-bpffs-'))
  try {
    const refused = failsWith(/is in no bpffs: mount one with "mount -t bpf bpf \/sys\/fs\/bpf"/, 'EPERM')
    assert.throws(() => object.maps.get('pt_hash')!.pin(join(folder, 'map')), refused)
    assert.throws(() => makePinFolder(join(folder, 'causeway/maps')), failsWith(/is in no bpffs/))
    assert.throws(() => removePinFolder(folder), failsWith(/is in no bpffs/))
    writeFileSync(join(folder, 'file'), '')
    assert.throws(
      () => BpfMap.openPinned(join(folder, 'file')),
      failsWith(/EACCES: it is no pinned map, program or link/, 'EACCES'),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an object that is broken, refused, or asks for what the kernel has not, says so', async () => {
  const broken = probeObject().subarray(0, 4000)
  await assert.rejects(loadObject({ bytes: broken }), failsWith(/^load the eBPF programs: .*(ELF|elf|BPF object)/))
  await assert.rejects(
    loadObject({ bytes: new TextEncoder().encode('no object') }),
    failsWith(/^load the eBPF programs: /),
  )
  await assert.rejects(loadObject({ bytes: probeObject('REFUSED') }), (error) => {
    failsWith(
      /the kernel's verifier refuses pt_refused: EACCES: .*R0 invalid mem access 'map_value_or_null'$/,
      'EACCES',
    )(error)
    assert.match((error as BpfError).log, /call bpf_map_lookup_elem#1/)
    return true
  })
  await assert.rejects(
    loadObject({ bytes: probeObject('MISSING_FUNCTION') }),
    failsWith(/neither the kernel nor a module that is loaded has the function bpf_no_such_function/, 'EINVAL'),
  )
  // and the next one loads as if nothing had been
  using _object = await loadObject({ bytes: probeObject() })
})

/** Runs a module in a process with these capabilities alone; returns what it printed. */
function withCapabilities(capabilities: string, program: string): string {
  const rights = capabilities === '' ? '-all' : `-all,${capabilities}`
  const { stdout, stderr, status } = spawnSync(
    'setpriv',
    [
      `--bounding-set=${rights}`,
      `--inh-caps=${rights}`,
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '--eval',
      program,
    ],
    { encoding: 'utf8', cwd: root },
  )
  assert.equal(status, 0, stderr)
  return stdout
}

test('a process without the right says which one it lacks; CAP_SYS_ADMIN alone does', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bpf-rights-'))
  try {
    const file = join(folder, 'probe.bpf.o')
    writeFileSync(file, probeObject())
    const program = `
      import { readFileSync } from 'node:fs'
      import { loadObject } from '#/kernel/bpf/object.ts'
      import { hasTcx } from '#/kernel/bpf/tcx.ts'
      const tell = async (work) => { try { await work(); return 'done' } catch (error) { return error.message } }
      console.log(await tell(() => loadObject({ bytes: readFileSync('${file}') })))
      console.log(await tell(() => hasTcx()))
    `
    assert.equal(
      withCapabilities('', program),
      `load the eBPF programs: EPERM: the process has no CAP_BPF and no CAP_NET_ADMIN: give it CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN
ask for programs of tcx: EPERM: the process has no CAP_BPF and no CAP_NET_ADMIN: give it CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN
`,
    )
    assert.equal(withCapabilities('+sys_admin,+net_admin', program), 'done\ndone\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('without libbpf the error names the package, and what is pinned can be used all the same', async () => {
  using bpffs = new TestBpffs()
  using object = await loadObject({ bytes: probeObject() })
  const path = join(bpffs.path, 'pt_hash')
  new TypedMap(object.maps.get('pt_hash')!, hash).set({ index: 3 }, { packets: 5n, bytes: 6n })
  object.maps.get('pt_hash')!.pin(path)
  const program = `
    import { loadObject } from '#/kernel/bpf/object.ts'
    import { BpfMap } from '#/kernel/bpf/map.ts'
    console.log(await loadObject({ bytes: new Uint8Array(9) }).catch((error) => error.message))
    console.log(BpfMap.openPinned('${path}').entries().length)
  `
  const hide = 'mount --bind /dev/null "$(readlink -f /usr/lib/*-linux-gnu/libbpf.so.1)" && exec "$0" "$@"'
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      '-m',
      'sh',
      '-c',
      hide,
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '--eval',
      program,
    ],
    { encoding: 'utf8', cwd: root },
  )
  assert.equal(
    stdout,
    'libbpf.so.1 is missing: install libbpf 1.x (package libbpf1 of Debian and Ubuntu, libbpf of others)\n1\n',
    stderr,
  )
})
