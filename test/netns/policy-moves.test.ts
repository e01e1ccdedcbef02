// A pod that goes from one class to another, while packets come: the kernel judges a packet in several look-ups, between which a transaction may be
// committed, so that a packet may be looked for in the sets of both classes and be found in neither.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Direction, directions } from '#/policy/policy.ts'
import { addrOf, TableNode } from './policy/table-node.ts'

/** Two classes that let nothing pass, of which the pod is in the first; what passes the tables all the same is counted. */
function closed(direction: Direction): TableNode {
  const node = new TableNode()
  // of two parts of the chains of classes
  for (const id of ['a1', 'b1']) node.form.policy(`p${id}`, 'NetworkPolicy', direction).class(id, direction, [`p${id}`])
  node.nft(`-f - <<'N'
table inet behind {
  chain forward { type filter hook forward priority 0
    udp dport 9 counter
  }
}
N`)
  return node
}

/** A program that sends datagrams for a second and a half, as many as it can. */
const flooding = (to: string): string => `
  const socket = require('node:dgram').createSocket('udp4')
  const endMs = Date.now() + 1500
  socket.connect(9, '${to}', function more() {
    for (let n = 0; n < 64; n++) socket.send('x')
    Date.now() < endMs ? setImmediate(more) : socket.close()
  })`

for (const direction of directions)
  test(`no packet passes while a pod goes from one closed class to another (${direction})`, async () => {
    using node = closed(direction)
    const pod = node.add(2, { [direction]: 'a1' })
    await node.settle()
    const [from, to] = direction === 'ingress' ? [node.other.netns, addrOf(4, 2)] : [pod.netns, addrOf(4, 9, true)]
    const flood = from.netns.run(() => spawn(process.execPath, ['-e', flooding(to)], { stdio: 'inherit' }))
    const ended = new Promise((resolve) => flood.on('close', resolve))
    let moves = 0
    for (; flood.exitCode === null; moves++) {
      node.form.local(pod.device, [addrOf(4, 2), addrOf(6, 2)], { [direction]: moves % 2 === 0 ? 'b1' : 'a1' })
      node.apply({ locals: node.form.locals })
      await setImmediate()
    }
    await ended
    assert.ok(moves > 500, `${moves}`)
    assert.match(node.nft('list chain inet behind forward'), /counter packets 0 /)
    assert.deepEqual(node.warnings, [])
  })
