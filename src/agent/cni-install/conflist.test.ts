import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Conflist, conflistFor, conflistText, leadsToOurs, othersIn, readConflist } from './conflist.ts'

const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']
const portmap = { name: 'portmap', versions } as const
const mesh = { type: 'mesh-cni', kubernetes: { exclude: ['kube-system'] } }
const scan = { type: 'scan' }

const typesOf = ({ plugins }: Conflist): unknown[] => plugins.map(({ type }) => type)
const again = (list: Conflist): Conflist => readConflist(conflistText(list))!

test('entries of others stay where they are, before and after ours, whatever of ours comes and goes', () => {
  const first = conflistFor([portmap])
  const changed = { ...first, disableCheck: true, plugins: [scan, ...first.plugins, mesh] }
  assert.deepEqual(conflistFor([portmap], again(changed)), changed)
  const without = conflistFor([], again(changed))
  assert.deepEqual(typesOf(without), ['scan', 'causeway-cni', 'mesh-cni'])
  const back = conflistFor([portmap], again(without))
  assert.deepEqual(typesOf(back), ['scan', 'causeway-cni', 'portmap', 'mesh-cni'])
  assert.equal(back['disableCheck'], true)
  assert.deepEqual(othersIn(back), [scan, mesh])
})

test("our plugin's entry is renewed, others' fields in a chained one stay, and one that is missing comes back", () => {
  const [own, chained] = conflistFor([portmap]).plugins as [object, object]
  const edited = { plugins: [{ ...own, capabilities: {}, ipam: {} }, { ...chained, snat: false, masqAll: true }, mesh] }
  assert.deepEqual(conflistFor([portmap], edited).plugins, [own, { ...chained, masqAll: true }, mesh])
  assert.deepEqual(typesOf(conflistFor([portmap], { plugins: [mesh] })), ['causeway-cni', 'portmap', 'mesh-cni'])
  assert.deepEqual(typesOf(conflistFor([], { plugins: [own as {}, own as {}, mesh] })), ['causeway-cni', 'mesh-cni'])
})

test("an entry of another's for a plugin that we would chain serves instead, and is not taken for ours later", () => {
  const theirs = { type: 'portmap', capabilities: { portMappings: true }, snat: true }
  const before = conflistFor([])
  const joined = conflistFor([portmap], { ...before, plugins: [...before.plugins, theirs] })
  assert.deepEqual(typesOf(joined), ['causeway-cni', 'portmap'])
  assert.deepEqual(typesOf(conflistFor([], again(joined))), ['causeway-cni', 'portmap'])
  const [own] = conflistFor([], { plugins: [{ type: 'bandwidth', ingressRate: 1 }] }).plugins
  assert.ok(!('bandwidth' in (own!['capabilities'] as object)), 'two buckets at one device are one too many')
})

test('what an agent wrote that did not list its chained entries is known as ours', () => {
  const { plugins } = conflistFor([portmap])
  const { chained: _, ...own } = plugins[0] as { chained: unknown }
  const old = { plugins: [own, plugins[1]!, mesh] }
  assert.deepEqual(typesOf(conflistFor([], old)), ['causeway-cni', 'mesh-cni'])
})

test('any JSON can stand in the file: what others wrote survives, and a second time changes nothing', () => {
  const entry = fc.record({ type: fc.constantFrom('causeway-cni', 'portmap', 'tuning', 'mesh', 7, null), x: fc.json() })
  fc.assert(
    fc.property(fc.record({ plugins: fc.array(fc.oneof(entry, fc.constant(3))), name: fc.string() }), (list) => {
      const found = readConflist(JSON.stringify(list))!
      const wanted = conflistFor([portmap], found)
      assert.deepEqual(othersIn(wanted), othersIn(found))
      assert.deepEqual(conflistFor([portmap], again(wanted)), wanted)
      assert.equal(wanted.plugins.filter(({ type }) => type === 'causeway-cni').length, 1)
    }),
  )
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void [readConflist(text), leadsToOurs(text)]))
})
