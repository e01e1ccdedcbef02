// Every setting of the agent.
//
// To add one, add an entry here, in the group where a reader looks for it. Nothing else is to be edited: its value is then in
// AgentConfig under the entry's key (of `networkSettings` in its `settings`, where model/network.ts says what the plan must be
// told), and it is in `causeway help agent`. `install: { by: 'set' }` lets `causeway install --set` take it, `by: 'option'` gives it an
// option there. Then run scripts/settings-page.ts, which writes docs/settings.md anew.
import { routings } from '#/model/routing.ts'
import { chainable, cniChain, noChain } from './cni-chain.ts'
import { absolutePath, anyText, either, nodeName, numberFrom, oneOf, podCIDRs, secondsFrom } from './parsers.ts'
import { type SettingGroup, type Settings } from './setting.ts'

const defaultVni = '1'
/** The Linux kernel's own default; 4789 is IANA's. */
const defaultVxlanPort = '8472'
const maxPort = 65_535
const maxVni = (1 << 24) - 1
/** RFC 791 section 3.1: what every host must take; with less than that, nothing is left in the tunnel. */
const minMtuBytes = 576
/** Linux devices go up to 65535 and a few more; an IP packet cannot be larger. */
const maxMtuBytes = 65_535

export const nodeSettings = {
  nodeName: {
    variable: 'CAUSEWAY_NODE_NAME',
    parse: nodeName,
    isRequired: true,
    help: "name of this node's Node object",
    install: { by: 'installation', value: "the pod's `spec.nodeName`" },
  },
  /** Absent: the credentials of the pod it runs in. */
  kubeconfig: {
    variable: 'CAUSEWAY_KUBECONFIG',
    parse: anyText,
    unset: 'the credentials of the pod it runs in',
    help: 'kubeconfig file',
    install: { by: 'nobody' },
  },
  /** Where Causeway is installed: Secrets that BGP objects name are looked for there. */
  namespace: {
    variable: 'CAUSEWAY_NAMESPACE',
    parse: anyText,
    default: 'causeway-system',
    help: 'where Causeway is installed; Secrets of BGP are there',
    install: { by: 'installation', value: 'the namespace of `--namespace`' },
  },
  /** Survives restarts and reboots: addresses in use. */
  stateDir: {
    variable: 'CAUSEWAY_STATE_DIR',
    parse: absolutePath,
    default: '/var/lib/causeway',
    help: 'addresses in use; survives reboots',
    install: { by: 'nobody' },
  },
  /** The CNI shim's and the command line's sockets. */
  runDir: {
    variable: 'CAUSEWAY_RUN_DIR',
    parse: absolutePath,
    default: '/run/causeway',
    help: 'sockets of the CNI plugin and the command line',
    install: { by: 'nobody' },
  },
  /** Where the node's sysctls are. */
  procSys: {
    variable: 'CAUSEWAY_PROC_SYS',
    parse: absolutePath,
    default: '/proc/sys',
    help: "the node's sysctls; elsewhere in a container, whose own /proc/sys is read-only",
    install: { by: 'installation', value: 'where the container has them' },
  },
  /** Where health and metrics are served over TCP, on all addresses of the node; absent: nowhere. */
  httpPort: {
    variable: 'CAUSEWAY_HTTP_PORT',
    parse: numberFrom(1, maxPort),
    unset: 'none',
    help: 'TCP port of /healthz, /readyz and /metrics',
    install: { by: 'option', option: 'http-port', operand: 'N', default: '9474' },
  },
  /** How long an address rests before another pod gets it. */
  coolDownMs: {
    variable: 'CAUSEWAY_ADDRESS_COOLDOWN_S',
    parse: secondsFrom(0, 86_400),
    default: '30',
    help: 'seconds before an address that was given back goes to another pod',
    install: { by: 'set' },
  },
  /** Whether this node's tunnel end is published in flannel's annotations. */
  flannelInterop: {
    variable: 'CAUSEWAY_FLANNEL_INTEROP',
    parse: either(['off', 'on'], 'on'),
    default: 'off',
    help: "on: flannel nodes reach this one by flannel's annotations; off: they do not",
    install: { by: 'set' },
  },
  logLevel: {
    variable: 'CAUSEWAY_LOG_LEVEL',
    parse: oneOf('debug', 'info', 'warn', 'error'),
    default: 'info',
    help: 'debug, info, warn or error',
    install: { by: 'set' },
  },
} as const satisfies Settings

/** The values are a NetworkSettings. */
export const networkSettings = {
  clusterCIDRs: {
    variable: 'CAUSEWAY_CLUSTER_CIDRS',
    parse: podCIDRs,
    isRequired: true,
    help: 'CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48',
    install: { by: 'option', option: 'cluster-cidrs', operand: 'LIST' },
  },
  vni: {
    variable: 'CAUSEWAY_VNI',
    parse: numberFrom(1, maxVni),
    default: defaultVni,
    help: 'VXLAN network identifier',
    // all nodes must agree: an upgrade that brings another default must not change it node by node
    install: { by: 'option', option: 'vni', operand: 'N', default: defaultVni },
  },
  vxlanPort: {
    variable: 'CAUSEWAY_VXLAN_PORT',
    parse: numberFrom(1, maxPort),
    default: defaultVxlanPort,
    help: 'UDP port of the overlay',
    install: { by: 'option', option: 'port', operand: 'N', default: defaultVxlanPort },
  },
  underlayMtuBytes: {
    variable: 'CAUSEWAY_MTU',
    parse: numberFrom(minMtuBytes, maxMtuBytes),
    unset: "the device's",
    help: 'MTU of the underlay, where its devices promise too much',
    install: { by: 'set' },
  },
  routing: {
    variable: 'CAUSEWAY_ROUTING',
    parse: oneOf(...routings),
    default: routings[0],
    help: 'vxlan, native or auto, where neither the object Routing nor the Node says another',
    install: { by: 'set' },
  },
  opensForwardChains: {
    variable: 'CAUSEWAY_FORWARD_CHAINS',
    parse: either(['open', 'leave'], 'open'),
    default: 'open',
    help: "open: others' forward chains that drop by policy let pods pass; leave: they stay as they are",
    install: { by: 'set' },
  },
} as const satisfies Settings

export const cniSettings = {
  binDir: {
    variable: 'CAUSEWAY_CNI_BIN_DIR',
    parse: absolutePath,
    unset: 'nothing is installed',
    help: "the runtime's folder of CNI plugins, where the plugin is installed",
    install: { by: 'option', option: 'cni-bin-dir', operand: 'DIR', default: '/opt/cni/bin' },
  },
  confDir: {
    variable: 'CAUSEWAY_CNI_CONF_DIR',
    parse: absolutePath,
    unset: 'nothing is installed',
    help: "the runtime's folder of CNI configurations, where the one that names the plugin is written",
    install: { by: 'option', option: 'cni-conf-dir', operand: 'DIR', default: '/etc/cni/net.d' },
  },
  plugin: {
    variable: 'CAUSEWAY_CNI_PLUGIN',
    parse: absolutePath,
    unset: 'the one built with this program',
    help: 'the plugin to install',
    install: { by: 'nobody' },
  },
  chain: {
    variable: 'CAUSEWAY_CNI_CHAIN',
    parse: cniChain,
    unset: 'portmap, if it is installed',
    help: `plugins to run after it: ${chainable.join(', ')}, or ${noChain}`,
    install: { by: 'option', option: 'cni-chain', operand: 'LIST' },
  },
} as const satisfies Settings

export const agentGroups: readonly SettingGroup[] = [
  { title: 'The node and its agent', settings: nodeSettings },
  { title: 'The network of pods', settings: networkSettings },
  { title: 'What the container runtime needs', settings: cniSettings },
]
