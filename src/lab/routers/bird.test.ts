import assert from 'node:assert/strict'
import { test } from 'node:test'
import { birdConfig } from './bird.ts'
import { routersOf } from './fabric.ts'
import { rackedLab } from './testing.ts'

/** The block that begins with `head`. */
function blockOf(text: string, head: string): string {
  const start = text.indexOf(`${head} {`)
  assert.notEqual(start, -1, `no block "${head}" in:\n${text}`)
  return text.slice(start, text.indexOf('\n}', start) + 2)
}

test('a rack router speaks with the spine and with each of its nodes, both families over IPv4', () => {
  const [, tor] = routersOf(rackedLab({}, {}))
  const text = birdConfig(tor!)
  assert.match(text, /^router id 172\.30\.1\.1;$/m)
  assert.deepEqual(
    [...text.matchAll(/^protocol bgp (\w+)/gm)].map(([, name]) => name),
    ['spine', 'node_1', 'node_3'],
  )
  const spine = blockOf(text, 'protocol bgp spine')
  assert.match(spine, /local 172\.30\.0\.1 as 65001;\n {2}neighbor 172\.30\.0\.0 as 65000;\n {2}interface "spine";/)
  assert.match(spine, /graceful restart on;/)
  const node = blockOf(text, 'protocol bgp node_3')
  assert.match(node, /local 172\.30\.1\.1 as 65001;\n {2}neighbor 172\.30\.1\.13 as 64512;\n {2}interface "nodes";/)
  assert.match(
    node,
    /ipv4 \{ import all; export filter to_nodes; \};\n {2}ipv6 \{ import all; export filter to_nodes; \};/,
  )
})

test('nodes do not see their own AS in routes of other nodes of that AS; routers see the unchanged path', () => {
  const [, tor] = routersOf(rackedLab({}, { nodeAsns: 'rack' }))
  const text = birdConfig(tor!)
  assert.match(blockOf(text, 'filter to_nodes'), /if source = RTS_BGP then bgp_path\.delete\(64513\);/)
  assert.doesNotMatch(blockOf(text, 'filter to_routers'), /delete/)
})

test('the kernel gets several paths, of BGP alone, and keeps them while BIRD recovers', () => {
  for (const router of routersOf(rackedLab({ families: 'ipv6' }, {}))) {
    const text = birdConfig(router)
    const kernel = blockOf(text, 'protocol kernel kernel6')
    assert.match(kernel, /export where source = RTS_BGP;/)
    assert.match(kernel, /merge paths on limit 16;\n {2}graceful restart on;/)
    assert.doesNotMatch(text, /ipv4/)
  }
})

test('the spine has no nodes, and BFD is where it is asked for', () => {
  const [spine] = routersOf(rackedLab({}, {}))
  assert.doesNotMatch(birdConfig(spine!), /to_nodes|bfd/)
  const [, tor] = routersOf(rackedLab({}, { bfd: true }))
  const text = birdConfig(tor!)
  assert.match(text, /^protocol bfd \{/m)
  assert.match(blockOf(text, 'protocol bgp node_1'), /bfd on;/)
})
