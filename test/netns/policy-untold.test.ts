// A kernel without the rules that tell of denied packets. The agent's messages name a log expression that no kernel has, so that this one looks
// for a module, finds none, and refuses them as one without nft_log does.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { KernelError, Netlink, type Operation } from '#/kernel/netlink.ts'
import { changeOf, tcp } from '#/plan/policy/testing/form.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { silent } from '#/lib/log.ts'
import { addrOf, bridgeMac, TableNode } from './policy/table-node.ts'
import { PolicyNode } from './policy-node.ts'
import { onlyClients } from './policy-traffic.ts'

const log = Buffer.from('log\0')

function withoutLog(operation: Operation): Operation {
  const payload = Buffer.from(operation.payload)
  const place = payload.indexOf(log)
  if (!operation.what.startsWith('nft add rule') || place < 0) return operation
  payload.write('lox', place)
  return { ...operation, payload }
}

/** Until the test ends, or the log is given back. */
function takeLogAway(t: TestContext): { giveBack(): void } {
  const { transact } = Netlink.prototype
  const mock = t.mock.method(
    Netlink.prototype,
    'transact',
    function (this: Netlink, what: string, enclosing: Uint8Array, operations: readonly Operation[]) {
      return transact.call(this, what, enclosing, operations.map(withoutLog))
    },
  )
  return { giveBack: () => mock.mock.restore() }
}

function isolated(): TableNode {
  const node = new TableNode()
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports: tcp(80) })
    .policy('a1', 'Admin', 'ingress', { action: 'deny', ports: tcp(81) })
    .class('c1', 'ingress', ['p1'])
    .class('c2', 'ingress', ['a1'])
  return node
}

const refusal = 'nft add rule inet causeway-policy-trial trial "tell of it [409c866b]": ENOENT'
const logRules = (node: TableNode): number =>
  node.nft('list table inet causeway-policy').match(/log prefix/g)?.length ?? 0

test('where rules cannot tell of packets, policies are enforced without', async (t) => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const [b, c] = [node.add(3), node.add(4)]
  const { giveBack } = takeLogAway(t)
  await node.settle()
  assert.equal(node.tables.untold, refusal)
  assert.deepEqual(node.warnings, [{ error: refusal }])
  assert.ok(node.tables.objects.every(({ state }) => state === 'done'))
  const cells = async (): Promise<boolean[]> => [
    await node.arrives({ family: 4, from: b, to: a }),
    await node.arrives({ family: 6, from: c, to: a }),
  ]
  assert.deepEqual(await cells(), [true, false])
  assert.equal((await node.tables.readCounters(node.form)).denied[0]?.packets, 1)

  // a class with chains of its own, which the table does not have yet
  node.form.class('c3', 'ingress', ['a1', 'p1']).local(a.device, [addrOf(4, 2), addrOf(6, 2)], { ingress: 'c3' })
  node.apply({
    classes: new Map([['c3', node.form.classes.get('c3')]]),
    locals: new Map([[a.device, node.form.locals.get(a.device)]]),
  })
  assert.deepEqual(await node.tables.differences(node.form, node.facts), [])
  assert.deepEqual(await cells(), [true, false])
  assert.equal(node.warnings.length, 1)
  assert.equal(logRules(node), 0)

  await node.settle()
  assert.equal(node.tables.untold, refusal)
  giveBack()
  const lines = await node.tables.compare(node.form, node.facts)
  assert.ok(lines.includes('table inet causeway-policy: chain in-c1 has other rules'))
  assert.equal(node.tables.untold, undefined)
  assert.deepEqual(await node.tables.differences(node.form, node.facts), [])
  assert.equal(logRules(node), 4)
  assert.deepEqual(await cells(), [true, false])
})

test('a pod that comes first finds its rules there', async (t) => {
  using node = isolated()
  const a = node.add(2, { ingress: 'c1' })
  const c = node.add(4)
  takeLogAway(t)
  using tables = new PolicyTables({ log: silent, bridgeMac: () => bridgeMac, netns: node.host.netns })
  tables.apply(node.form, changeOf({}), node.facts)
  assert.equal(tables.untold, refusal)
  assert.equal(await node.arrives({ family: 4, from: c, to: a }), false)
  assert.equal(logRules(node), 0)
})

test('a refusal for another reason is none of telling', async (t) => {
  using node = isolated()
  node.add(2, { ingress: 'c1' })
  t.mock.method(Netlink.prototype, 'transact', function (this: Netlink, what: string) {
    if (!what.startsWith('nft try')) throw new KernelError(what, 12)
  })
  assert.throws(() => node.apply(), /ENOMEM/)
  await assert.rejects(node.tables.compare(node.form, node.facts), /ENOMEM/)
  assert.equal(node.tables.untold, undefined)
})

test('an agent wires pods under policies that are not told, and says so', async (t) => {
  const { giveBack } = takeLogAway(t)
  await using node = await PolicyNode.start('bridge')
  await node.setPolicy('web', onlyClients)
  const client = await node.addPod('client', { role: 'client' })
  await node.addPod('web', { app: 'web' })
  const stranger = await node.addPod('stranger', {})
  const ways = (): boolean[] =>
    [client, stranger].map(
      (from) => from.sh(`ping -n -c1 -W1 ${node.addrOf('web')} >/dev/null && echo yes || echo no`) === 'yes\n',
    )
  assert.deepEqual(ways(), [true, false])
  const told = (): string[] => node.policy.problems.map(({ code, object, message }) => `${code} ${object}: ${message}`)
  assert.deepEqual(told(), [`CW3308 policy-table/inet causeway-policy: ${refusal}`])
  giveBack()
  node.policy.noteTableChange()
  await eventually(() => told().length === 0, 'it is told again')
  assert.deepEqual(ways(), [true, false])
})
