// Combinations of datapath, routing and family that no other file has, with the faults for which these make a difference.
import { playAll } from './kinds.ts'

const names = [
  'overlay-port-blocked',
  'underlay-mtu-silent',
  'neighbour-wrong-mac',
  'checksums-spoiled',
  'forward-drop-nft',
  'input-drops-tunnel',
  'masquerade-pods',
  'rule-before-main',
  'specific-route',
  'blackhole-route',
  'prohibit-route',
  'foreign-address',
  'rp-filter-strict',
  'device-forwarding-off',
  'ipv6-disabled',
  'ip-forward-fight',
  'leftover-bridge',
  'leftover-program',
  'pod-route-gone',
  'pod-mtu',
  'node-address-wrong',
]
const small = ['--nodes', '2', '--pods', '1', '--datapath', 'ebpf']

playAll('eBPF without a tunnel, a mesh of BGP', [...small, '--routing', 'native'], { names })
playAll('eBPF and the tunnel, IPv6 alone', [...small, '--families', 'ipv6'], { names })
playAll('eBPF in racks with BGP and BFD', [...small, '--racks', '2', '--bfd', '--routing', 'native'], { names })
playAll('the bridge and the tunnel, IPv4 alone', ['--nodes', '2', '--pods', '2', '--families', 'ipv4'], { names })
