import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { rackedLab } from '../routers/testing.ts'
import { defaultClusterCIDRs, familiesOf, type LabSpec } from '../spec.ts'
import { faults } from './catalogue.ts'
import { faultRows } from './page.ts'
import { RecordingScene } from './testing.ts'

function lab(more: Partial<LabSpec>): LabSpec {
  const spec = { families: 'dual', ...more } as const
  return {
    name: 'x',
    nodes: 3,
    underlayMtuBytes: 1500,
    subnets: 1,
    routing: 'vxlan',
    datapath: 'bridge',
    podsPerNode: 2,
    clusterCIDRs: familiesOf(spec).map((family) => Prefix.parse(defaultClusterCIDRs[family])),
    ...spec,
  }
}

const shapes: readonly (readonly [string, LabSpec])[] = [
  ['dual', lab({})],
  ['IPv4', lab({ families: 'ipv4' })],
  ['IPv6', lab({ families: 'ipv6' })],
  ['native', lab({ routing: 'native' })],
  ['two subnets', lab({ subnets: 2, families: 'ipv6' })],
  ['eBPF', lab({ datapath: 'ebpf' })],
  ['one node', lab({ nodes: 1 })],
  ['flannel with VXLAN', lab({ network: 'flannel-vxlan' })],
  ['flannel with host-gw', lab({ network: 'flannel-host-gw' })],
  ['racks', rackedLab({ name: 'x', routing: 'native' }, { count: 2, tors: 1, nodeAsns: 'one', bfd: true })],
]

test('a fault has a name of its own, says in a line what is wrong, and names codes that there are', () => {
  assert.equal(new Set(faults.map(({ name }) => name)).size, faults.length)
  for (const { name, about, where, codes } of faults) {
    assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/)
    for (const text of [about, where]) {
      assert.ok(text.length <= 130 && !text.endsWith('.') && !text.includes('\n'), `${name}: ${text}`)
      assert.match(text, /^[a-zA-Z]/, name)
    }
    for (const code of codes) assert.ok(Object.hasOwn(problemCatalogue, code), code)
  }
})

test('every fault can be in some lab; in no lab it does anything outside of it, or what cannot be taken back', async () => {
  const done = new Set<string>()
  for (const [shape, spec] of shapes)
    for (const fault of faults) {
      const refusal = fault.needs?.(spec)
      if (refusal !== undefined) {
        assert.match(refusal, /^\w/)
        continue
      }
      // compiles a program
      if (fault.name === 'checksums-spoiled') continue
      const scene = new RecordingScene(spec)
      await fault.cause(scene)
      done.add(fault.name)
      assert.ok(scene.acts.length > 0, `${fault.name} does nothing in a lab that is ${shape}`)
      for (const { netns = 'cw-x-', does, undo } of scene.acts) {
        assert.match(netns, /^cw-x-/, `${shape}: ${fault.name}: ${does}`)
        assert.ok(undo !== '' && !/flush(?! cache)/.test(undo), `${shape}: ${fault.name}: ${undo}`)
        assert.ok(!/undefined|NaN/.test(does + undo), `${shape}: ${fault.name}: ${does}, ${undo}`)
        if (spec.families === 'ipv4')
          assert.ok(!/ -6 |fd[0-9a-f]{2}:|ip6tables|::\//.test(does), `${fault.name}: ${does}`)
        if (spec.families === 'ipv6') assert.ok(!/ -4 |10\.244|172\.30/.test(does), `${fault.name}: ${does}`)
      }
    }
  assert.deepEqual(
    faults.map(({ name }) => name).filter((name) => !done.has(name)),
    ['checksums-spoiled'],
  )
})

test('what a lab cannot have is refused with a word on what would have it', () => {
  const refusal = (name: string, spec: LabSpec): string | undefined =>
    faults.find((fault) => fault.name === name)!.needs?.(spec)
  assert.match(refusal('overlay-port-blocked', lab({ routing: 'native' }))!, /--routing vxlan/)
  assert.match(refusal('overlay-port-blocked', lab({ nodes: 1 }))!, /--nodes 2/)
  assert.match(refusal('ipv6-disabled', lab({ families: 'ipv4' }))!, /IPv4 only/)
  assert.match(refusal('bfd-port-taken', lab({}))!, /--bfd/)
  assert.match(refusal('bridge-netfilter', lab({ datapath: 'ebpf' }))!, /--datapath bridge/)
  assert.match(refusal('underlay-mtu-told', lab({}))!, /--subnets 2/)
  assert.equal(refusal('underlay-mtu-told', lab({ subnets: 2, families: 'ipv6' })), undefined)
})

test('docs/faults.md lists the faults as they are', () => {
  const page = readFileSync(new URL('../../../docs/faults.md', import.meta.url), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('| `'))
  assert.deepEqual(rows, faultRows())
})
