// Faults of a node's kernel that are in no rule and no route: sysctls, connection tracking.
import { type Fault } from './fault.ts'
import { needsIpv4, needsIpv6 } from './shape.ts'

export const sysctlFaults: readonly Fault[] = [
  {
    name: 'rp-filter-strict',
    about: 'the node drops what comes in by another device than the one that leads back to its sender',
    where: 'the sysctl net.ipv4.conf.eth0.rp_filter of the node',
    codes: ['CW1203'],
    needs: needsIpv4,
    cause: (scene) => scene.sysctl(scene.node.netns, 'net/ipv4/conf/eth0/rp_filter', '1'),
  },
  {
    name: 'device-forwarding-off',
    about: 'the device of the underlay forwards no IPv4 packets, though the node does',
    where: 'the sysctl net.ipv4.conf.eth0.forwarding of the node',
    codes: ['CW1305'],
    // what the node forwards of IPv6 the sysctl of all devices alone decides
    needs: needsIpv4,
    cause: (scene) => scene.sysctl(scene.node.netns, 'net/ipv4/conf/eth0/forwarding', '0'),
  },
  {
    name: 'ipv6-disabled',
    about: 'IPv6 is switched off on the device of the underlay, and its addresses are gone',
    where: 'the sysctl net.ipv6.conf.eth0.disable_ipv6 of the node',
    codes: ['CW1108'],
    needs: needsIpv6,
    cause: (scene) => {
      // taken back last: the addresses and routes that the kernel takes away with it
      scene.restoreUnderlay(scene.node)
      scene.sysctl(scene.node.netns, 'net/ipv6/conf/eth0/disable_ipv6', '1')
    },
  },
  {
    name: 'conntrack-full',
    about: 'connection tracking of a node has no room: the first packet of every new connection is dropped',
    where: 'entries of connection tracking of the node, as many as the machine lets a namespace have',
    codes: ['CW3304'],
    cause: async (scene) => scene.fillConntrack(scene.node.netns),
  },
  {
    name: 'ip-forward-fight',
    about: 'a service switches the forwarding of the node off again and again',
    where: 'a process on the node',
    codes: ['CW2009'],
    cause: (scene) => {
      const keys = scene.families.map((family) => (family === 4 ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding'))
      const set = (value: 0 | 1): string => keys.map((key) => `echo ${value} >/proc/sys/net/${key}`).join('; ')
      // the agent, which was fought with, sets it back after a pause of up to ten minutes
      scene.restore(scene.node.netns, ['sh', '-c', set(1)])
      scene.daemon(scene.node.netns, ['sh', '-c', `while sleep 0.2; do ${set(0)}; done`])
    },
  },
]
