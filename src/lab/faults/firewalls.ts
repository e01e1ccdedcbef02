// Faults of firewalls on a node: rules of others in nftables and in the old iptables.
import { type Family } from '#/lib/addr.ts'
import { bridgeName } from '#/model/names.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsDatapath, needsIpv4, needsTunnel, needsTwoNodes } from './shape.ts'
import { tunnelPort } from './underlay.ts'

const firewall = 'host-firewall'

const ipOf = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6')

/** Rules about the node's pods in a base chain, one for each family; `rule` has "@" for the match of their addresses. */
function rulesForPods(
  scene: Scene,
  chain: string,
  rule: (family: Family, cidr: string) => readonly string[],
): string[] {
  const { podCIDRs } = scene.node
  return podCIDRs.flatMap((cidr) => rule(cidr.family, String(cidr))).map((each) => `add rule @ ${chain} ${each}`)
}

/** Takes out again and again what somebody adds to the chain. */
function emptying(table: string, chain: string): string[] {
  const list = `nft list chain inet ${table} ${chain}`
  return ['sh', '-c', `while sleep 0.3; do ${list} | grep -q accept && nft flush chain inet ${table} ${chain}; done`]
}

function legacy(scene: Scene, rule: (cidr: string) => string): void {
  for (const cidr of scene.node.podCIDRs) {
    const tool = cidr.family === 4 ? 'iptables-legacy' : 'ip6tables-legacy'
    const text = rule(String(cidr))
    scene.run(scene.node.netns, `${tool} -w 5 -A ${text}`, `${tool} -w 5 -D ${text}`)
  }
}

export const firewallFaults: readonly Fault[] = [
  {
    name: 'forward-drop-nft',
    about: 'a firewall of the node drops what is forwarded to its pods',
    where: 'an nftables table of the node, hook forward',
    codes: ['CW7001'],
    needs: needsTwoNodes,
    cause: (scene) =>
      scene.table(scene.node.netns, 'inet', firewall, [
        'add chain @ forward { type filter hook forward priority 0; policy accept; }',
        ...rulesForPods(scene, 'forward', (family, cidr) => [`${ipOf(family)} daddr ${cidr} drop`]),
      ]),
  },
  {
    name: 'forward-drop-legacy',
    about: 'a rule of the old iptables drops what is forwarded to the pods of a node',
    where: 'the chain FORWARD of iptables-legacy',
    codes: ['CW7001'],
    needs: needsTwoNodes,
    cause: (scene) => legacy(scene, (cidr) => `FORWARD -d ${cidr} -m comment --comment site-policy -j DROP`),
  },
  {
    name: 'input-drops-tunnel',
    about: "a firewall of the node drops the tunnel's packets that are for it",
    where: 'an nftables table of the node, hook input',
    codes: ['CW7002'],
    needs: needsTunnel,
    cause: (scene) =>
      scene.table(scene.node.netns, 'inet', firewall, [
        'add chain @ input { type filter hook input priority 0; policy accept; }',
        `add rule @ input udp dport ${tunnelPort} drop`,
      ]),
  },
  {
    name: 'input-drops-pods',
    about: 'a firewall of the node drops what its pods send to the node itself',
    where: 'an nftables table of the node, hook input',
    codes: ['CW7003'],
    needs: needsIpv4,
    // IPv6 stays: without its neighbour discovery pods would lose all else as well
    cause: (scene) =>
      scene.table(scene.node.netns, 'inet', firewall, [
        'add chain @ input { type filter hook input priority 0; policy accept; }',
        ...rulesForPods(scene, 'input', (family, cidr) => (family === 4 ? [`ip saddr ${cidr} drop`] : [])),
      ]),
  },
  {
    name: 'masquerade-pods',
    about: 'a rule replaces the source address of what pods of a node send to pods of others',
    where: 'an nftables table of the node, hook postrouting',
    codes: ['CW7005'],
    needs: needsTwoNodes,
    cause: (scene) =>
      scene.table(scene.node.netns, 'inet', 'host-nat', [
        'add chain @ postrouting { type nat hook postrouting priority 90; policy accept; }',
        ...rulesForPods(scene, 'postrouting', (family, cidr) => [`${ipOf(family)} saddr ${cidr} masquerade`]),
      ]),
  },
  {
    name: 'bridge-netfilter',
    about: 'frames from one pod of a node to another meet the rules for what is forwarded, and one of these drops them',
    where: 'the sysctls bridge-nf-call-iptables and the chain FORWARD of iptables-legacy',
    codes: ['CW7006'],
    needs: needsDatapath('bridge'),
    cause: (scene) => {
      const { netns } = scene.node
      for (const family of scene.families) {
        const key = `net/bridge/bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`
        if (scene.read(netns, `cat /proc/sys/${key}`).trim() !== '1') scene.sysctl(netns, key, '1')
      }
      legacy(scene, (cidr) => `FORWARD -i ${bridgeName} -o ${bridgeName} -s ${cidr} -d ${cidr} -j DROP`)
    },
  },
  {
    name: 'firewall-fights',
    about: 'a firewall of the node drops by default, and takes out the accepts for pods again and again',
    where: 'an nftables table of the node, and a process that empties its chain',
    codes: ['CW7004', 'CW7001'],
    doctor: ['CW7004'],
    cause: (scene) => {
      const { netns } = scene.node
      scene.table(netns, 'inet', firewall, [
        'add chain @ forward { type filter hook forward priority 0; policy drop; }',
      ])
      scene.daemon(netns, emptying(firewall, 'forward'))
    },
  },
]
