// Who else writes to a node's packet filter: default-drop forward chains, by nft and by iptables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { emptyNetwork } from '#/model/network.ts'
import { ForwardDriver } from '#/reconcile/forward-driver.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { TestNetns } from './namespace.ts'

const wanted = { ...emptyNetwork, forwardFor: ['cw-br0'] }
const complete = { isComplete: true }

class Host implements Disposable {
  readonly netns = new TestNetns()
  readonly netlink = new Netlink(0, this.netns.netns)
  readonly nftables = new NftClient(this.netns.netns)
  readonly reconciler = new Reconciler({
    netlink: this.netlink,
    drivers: [new ForwardDriver(this.nftables)],
    log: silent,
    nowMs: Date.now,
  });

  [Symbol.dispose](): void {
    this.nftables[Symbol.dispose]()
    this.netlink[Symbol.dispose]()
    this.netns[Symbol.dispose]()
  }
}

const firewall = `nft -f - <<'EOF'
table inet filter {
  chain forward { type filter hook forward priority filter; policy drop; ct state established accept; }
  chain open { type filter hook forward priority filter + 1; policy accept; }
  chain input { type filter hook input priority filter; policy drop; }
}
EOF
iptables -P FORWARD DROP; iptables -A FORWARD -s 192.0.2.0/24 -j ACCEPT; ip6tables -P FORWARD DROP`

test('chains that drop by policy let pods pass after all their rules; others are left alone', async () => {
  using host = new Host()
  host.netns.sh(firewall)
  const { changed, failed } = await host.reconciler.apply(wanted, complete)
  assert.deepEqual([changed, failed], [3, 0])
  assert.match(
    host.netns.sh('nft list chain inet filter forward'),
    /policy drop;\s+ct state established accept\s+iifname "cw-br0" accept comment "causeway: forward pods of cw-br0"\s+oifname "cw-br0" accept comment "[^"]*"\s+}/,
  )
  assert.doesNotMatch(host.netns.sh('nft list chain inet filter open; nft list chain inet filter input'), /cw-br0/)
  // iptables reads them as its own
  assert.match(
    host.netns.sh('iptables -S FORWARD'),
    /-P FORWARD DROP\n-A FORWARD -s 192\.0\.2\.0\/24 -j ACCEPT\n-A FORWARD -i cw-br0 .*-j ACCEPT\n-A FORWARD -o cw-br0 .*-j ACCEPT\n$/,
  )
  assert.equal((await host.reconciler.apply(wanted, complete)).changed, 0)
})

test('a chain that ends with an unconditional reject or drop lets pods pass right before it, in both families', async () => {
  for (const [program, ending] of [
    ['iptables', '-j REJECT'],
    ['ip6tables', '-j DROP'],
    ['iptables', '-m comment --comment "the end" -j REJECT --reject-with icmp-host-prohibited'],
  ] as const) {
    using host = new Host()
    host.netns.sh(`${program} -A FORWARD -p udp -j DROP; ${program} -A FORWARD ${ending}`)
    assert.equal((await host.reconciler.apply(wanted, complete)).changed, 1)
    const ours = '-A FORWARD -i cw-br0 .*\n-A FORWARD -o cw-br0 .*\n'
    const inOrder = new RegExp(`-p udp -j DROP\n${ours}-A FORWARD .*-j (REJECT|DROP).*\n$`)
    assert.match(host.netns.sh(`${program} -S FORWARD`), inOrder, ending)
    assert.equal((await host.reconciler.apply(wanted, complete)).changed, 0)
    // a rule that comes later behind the reject never saw a packet: it is no reason to cut pods off
    host.netns.sh(`${program} -A FORWARD -p tcp -j ACCEPT`)
    assert.equal((await host.reconciler.apply(wanted, complete)).changed, 0)
  }
})

test('no rule of others but the default is stepped over', async () => {
  for (const policy of ['DROP', 'ACCEPT']) {
    using host = new Host()
    host.netns.sh(`
      iptables -P FORWARD ${policy}
      iptables -N CONTROLLER; iptables -A CONTROLLER -s 10.244.0.9 -j DROP; iptables -A FORWARD -j CONTROLLER
      iptables -A FORWARD -j REJECT; iptables -A FORWARD -p tcp -j ACCEPT`)
    const before = host.netns.sh('iptables -S FORWARD')
    await host.reconciler.apply(wanted, complete)
    assert.ok(host.netns.sh('iptables -S FORWARD').startsWith(before), 'what others made stands first, as it was')
  }
  using host = new Host()
  host.netns.sh('iptables -P FORWARD DROP')
  await host.reconciler.apply(wanted, complete)
  // a policy controller insists on the head, an administrator appends: neither has to give way
  host.netns.sh(
    'iptables -N CONTROLLER; iptables -I FORWARD -j CONTROLLER; iptables -A FORWARD -s 10.244.0.9 -j REJECT',
  )
  await host.reconciler.apply(wanted, complete)
  assert.match(
    host.netns.sh('iptables -S FORWARD'),
    /DROP\n-A FORWARD -j CONTROLLER\n-A FORWARD -s 10.244.0.9\/32 -j REJECT .*\n-A FORWARD -i cw-br0 .*\n-A FORWARD -o cw-br0 .*\n$/,
  )
  assert.equal((await host.reconciler.apply(wanted, complete)).changed, 0)
})

test('rules that merely look like ours stay, whatever becomes of ours', async () => {
  using host = new Host()
  host.netns.sh(
    'iptables -P FORWARD DROP; iptables -A FORWARD -i cw-br0 -j ACCEPT; iptables -A FORWARD -o cw-br0 -j ACCEPT',
  )
  const before = host.netns.sh('iptables -S FORWARD')
  await host.reconciler.apply(wanted, complete)
  assert.equal(host.netns.sh('iptables -S FORWARD').match(/-[io] cw-br0/g)?.length, 4)
  host.netns.sh('iptables -P FORWARD ACCEPT')
  await host.reconciler.apply(wanted, complete)
  host.netns.sh('iptables -P FORWARD DROP')
  await host.reconciler.apply(emptyNetwork, complete)
  assert.equal(host.netns.sh('iptables -S FORWARD'), before)
})

test('accepts of an earlier version, at the head, go to their place', async () => {
  using host = new Host()
  host.netns.sh(firewall)
  host.netns.sh(`for way in oifname iifname; do
    nft insert rule inet filter forward $way cw-br0 accept comment '"causeway: forward pods of cw-br0"'; done`)
  await host.reconciler.apply(wanted, complete)
  assert.match(
    host.netns.sh('nft list chain inet filter forward'),
    /policy drop;\s+ct state established accept\s+iifname "cw-br0" accept comment[^\n]+\s+oifname "cw-br0" accept [^\n]+\s+}/,
  )
})

test('rules that were flushed, have others behind them, or saved and restored by iptables are put right, never doubled', async () => {
  using host = new Host()
  host.netns.sh(firewall)
  await host.reconciler.apply(wanted, complete)
  const before = host.netns.sh('nft list ruleset')
  for (const command of [
    'iptables -F FORWARD; iptables -A FORWARD -s 192.0.2.0/24 -j ACCEPT',
    'iptables -D FORWARD 2',
    'iptables -D FORWARD -s 192.0.2.0/24 -j ACCEPT; iptables -A FORWARD -s 192.0.2.0/24 -j ACCEPT',
  ]) {
    host.netns.sh(command)
    await host.reconciler.apply(wanted, complete)
    assert.equal(host.netns.sh('nft list ruleset'), before, command)
  }
  host.netns.sh('iptables-save > /tmp/causeway-$$; iptables-restore < /tmp/causeway-$$; rm /tmp/causeway-$$')
  for (let pass = 0; pass < 2; pass++) await host.reconciler.apply(wanted, complete)
  assert.equal(host.netns.sh('iptables -S FORWARD').match(/-[io] cw-br0/g)?.length, 2)
  assert.equal((await host.reconciler.apply(wanted, complete)).changed, 0)
})

test('a policy that becomes accept, or cleaning up, takes them out again', async () => {
  using host = new Host()
  host.netns.sh(firewall)
  const untouched = host.netns.sh('nft list ruleset')
  await host.reconciler.apply(wanted, complete)
  host.netns.sh('iptables -P FORWARD ACCEPT')
  await host.reconciler.apply(wanted, complete)
  assert.doesNotMatch(host.netns.sh('iptables -S FORWARD'), /cw-br0/)
  host.netns.sh('iptables -P FORWARD DROP')
  await host.reconciler.apply(wanted, complete)
  await host.reconciler.apply(emptyNetwork, complete)
  assert.equal(host.netns.sh('nft list ruleset'), untouched)
})
