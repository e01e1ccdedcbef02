import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, afterEach, test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type Pod } from '#/model/kubernetes.ts'
import { LabPaths } from './paths.ts'
import { type Sandbox, Sandboxes } from './sandboxes.ts'

const node = { name: 'node-1', subnet: 1, addrs: [Addr.parse('172.30.1.11'), Addr.parse('fd30::b')] }
let folder = ''

class TestPaths extends LabPaths {
  override get sandboxes(): string {
    return folder
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'causeway-sandboxes-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Sandboxes of a lab that has nothing: neither namespace nor plugin is there to be used. */
const sandboxesOfNothing = (): Sandboxes => new Sandboxes(new TestPaths('x'), '/nonexistent/plugin')

function pod(namespace: string, name: string, spec = {}): Pod {
  return { metadata: { namespace, name, uid: `uid of ${name}` }, spec }
}

test("a pod in its node's network has the node's namespace and addresses, and takes nothing along when it goes", async () => {
  const sandboxes = sandboxesOfNothing()
  const sandbox = await sandboxes.run(pod('default', 'host', { hostNetwork: true }), node)
  assert.equal(sandbox.netns, 'cw-x-node-1')
  assert.deepEqual(sandbox.addrs, ['172.30.1.11', 'fd30::b'])
  assert.deepEqual(sandboxes.list(), [sandbox])
  await sandboxes.remove(sandbox)
  assert.deepEqual(sandboxes.list(), [])
})

test("a pod whose namespace would have the name of another pod's is refused, and leaves nothing to remove", async () => {
  const [netns, uid] = ['cw-x-pod-a-b-c', 'u']
  const bare = { node: node.name, netns, isHostNetwork: false, capabilityArgs: {}, addrs: [] }
  const other: Sandbox = { ...bare, uid, namespace: 'a-b', name: 'c' }
  writeFileSync(join(folder, `${uid}.json`), JSON.stringify(other))
  const sandboxes = sandboxesOfNothing()
  await assert.rejects(sandboxes.run(pod('a', 'b-c'), node), {
    message: 'the namespace cw-x-pod-a-b-c is that of pod a-b/c',
  })
  assert.deepEqual(sandboxes.list(), [other])
})
