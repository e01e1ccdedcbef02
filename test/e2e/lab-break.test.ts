// `causeway lab break` and `causeway lab mend`. All faults in all kinds of lab: test/faults.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FaultRecords } from '#/lab/faults/records.ts'
import { LabPaths } from '#/lab/paths.ts'
import { differences, probedIn, stateOf } from '../faults/fault-lab.ts'
import { play } from '../faults/play.ts'
import { causeway, eventually, run, TestLab } from './harness.ts'

/**
 * One of each way to break something: rules, routes, a filter of tc, objects, a process that goes on, an agent. None that only a count of a minute tells.
 */
const samples = [
  'forward-drop-nft',
  'rule-before-main',
  'checksums-spoiled',
  'node-cidr-overlap',
  'ip-forward-fight',
  'agent-dead',
]

/** A folder with an `ip` that kills who called it, -9, at its second call. */
function deadlyIp(): string {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-ip-'))
  const path = join(folder, 'ip')
  writeFileSync(
    path,
    `#!/bin/sh\nif [ -e ${folder}/called ]; then kill -9 $PPID; exit 1; fi\n: >${folder}/called\nexec /usr/sbin/ip "$@"\n`,
  )
  chmodSync(path, 0o755)
  return folder
}

test('a lab is broken and mended, whatever happens in between', async (t) => {
  using lab = new TestLab()
  const report = lab.up('--nodes', '2', '--pods', '1')
  const breakLab = (...args: readonly string[]) => run(causeway, ['lab', 'break', '--name', lab.name, ...args])
  const mendLab = (...args: readonly string[]) => run(causeway, ['lab', 'mend', '--name', lab.name, ...args])

  for (const name of samples) await t.test(name, async (each) => each.diagnostic(await play(lab, report, name)))

  await t.test('twice, and what a lab cannot have, is refused in words', () => {
    assert.equal(
      breakLab('blackhole-route', '--node', 'node-2', '--quiet').stdout.split('\n')[0],
      `lab "${lab.name}" is broken`,
    )
    const again = breakLab('blackhole-route')
    assert.match(
      again.stderr,
      /^causeway: blackhole-route is in lab "\w+" already, on node-2, since .*; take it back: causeway lab mend blackhole-route --name \w+\n$/,
    )
    assert.equal(again.status, 1)
    for (const [args, message] of [
      [['bfd-port-taken'], /cannot have bfd-port-taken: no node of it has BFD; causeway lab up --racks 2 --bfd$/m],
      [['blackhole-rout'], /there is no fault "blackhole-rout"; did you mean blackhole-route\?$/m],
      [['pod-mtu', '--pod', 'web-9'], /--pod web-9: the lab's pods are web-1, web-2$/m],
      [['pod-mtu', '--node', 'node-9'], /--node node-9: the lab's nodes are node-1, node-2$/m],
      [
        ['pod-mtu', '--node', 'node-2', '--pod', 'web-1'],
        /--pod web-1 is on node-1, not on node-2: leave out one of the two$/m,
      ],
    ] as const) {
      const { status, stderr } = breakLab(...args)
      assert.equal(status, 1)
      assert.match(stderr, message)
    }
    assert.match(breakLab('--list').stdout, /^blackhole-route +on node-2 +CW1302 /m)
    assert.match(mendLab('packet-loss').stderr, /packet-loss is not in lab/)
    assert.equal(mendLab().stdout, 'blackhole-route on node-2: taken back\n')
    assert.equal(mendLab().stdout, `no fault is in lab "${lab.name}"\n`)
    assert.match(run(causeway, ['lab', 'mend', '--name', 'nosuchlab']).stderr, /no lab "nosuchlab" is up/)
  })

  await t.test('a break that is killed in the midst is taken back by the next mend', async () => {
    const before = await stateOf(lab.name)
    const folder = deadlyIp()
    try {
      const killed = run(causeway, ['lab', 'break', '--name', lab.name, 'rule-before-main'], {
        PATH: `${folder}:${process.env['PATH']}`,
      })
      assert.notEqual(killed.status, 0)
    } finally {
      rmSync(folder, { recursive: true })
    }
    const [record] = new FaultRecords(new LabPaths(lab.name)).list()
    assert.deepEqual([record?.isWhole, record?.made.length], [false, 2])
    assert.notDeepEqual(differences(before, await stateOf(lab.name)), [])
    assert.match(
      breakLab('rule-before-main').stderr,
      /a "lab break" ended in the midst of rule-before-main, on node-1, at .*; take back what it did/,
    )
    assert.equal(mendLab().stdout, 'rule-before-main on node-1: taken back\n')
    assert.deepEqual(differences(before, await stateOf(lab.name)), [])
  })

  await t.test('what somebody else has changed or deleted since is left alone, and told', () => {
    assert.equal(breakLab('rp-filter-strict').status, 0)
    lab.mustInside('node-1', 'sysctl', '-qw', 'net.ipv4.conf.eth0.rp_filter=2')
    assert.match(mendLab().stdout, /was changed since, and stays so: .*rp_filter=1\n/)
    assert.match(lab.mustInside('node-1', 'sysctl', 'net.ipv4.conf.eth0.rp_filter'), /= 2/)
    lab.mustInside('node-1', 'sysctl', '-qw', 'net.ipv4.conf.eth0.rp_filter=0')
    assert.equal(breakLab('blackhole-route').status, 0)
    lab.mustInside('node-1', 'ip', 'route', 'del', 'blackhole', '10.244.1.0/25')
    assert.match(
      mendLab().stdout,
      /^blackhole-route on node-1: taken back\n {2}was gone already: cw-\w+-node-1: ip -4 route add blackhole 10.244.1.0\/25 /,
    )
  })

  await t.test('down takes a broken lab away, and its processes with it', async () => {
    assert.equal(breakLab('ip-forward-fight').status, 0)
    assert.equal(breakLab('specific-route').status, 0)
    assert.equal(lab.pids('fault-').length > 0, true)
    await eventually('the route is in the way', async () => (await probedIn(lab.name)).some(({ isFine }) => !isFine))
    lab[Symbol.dispose]()
    assert.deepEqual(lab.pids(''), [])
    assert.ok(!existsSync(new LabPaths(lab.name).dir))
  })
})
