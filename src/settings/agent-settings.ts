// Every setting of the agent.
//
// To add a setting, add an entry to the group where a reader looks for it. AgentConfig then has the value under the entry's key (those of
// `networkSettings` in its field `settings`, whose type NetworkSettings in model/network.ts must have the key too), and `causeway help
// agent` lists it. With `install: { by: 'set' }`, `causeway install --set` accepts it; with `by: 'option'`, it gets an option of
// `causeway install`. Then run scripts/settings-page.ts, which rewrites docs/settings.md.
import { datapathNames } from '#/model/datapath.ts'
import { routings } from '#/model/routing.ts'
import { chainable, cniChain, noChain } from './cni-chain.ts'
import { absolutePath, anyText, either, nodeName, numberFrom, oneOf, podCIDRs, secondsFrom } from './parsers.ts'
import { type SettingGroup, type Settings } from './setting.ts'

const defaultVni = '1'
/** The Linux kernel's default port for VXLAN; IANA's is 4789. */
const defaultVxlanPort = '8472'
const maxPort = 65_535
const maxVni = (1 << 24) - 1
/** RFC 791 section 3.1: the packet size that every host must accept; a smaller MTU would leave too little room in the tunnel. */
const minMtuBytes = 576
/** The largest possible IP packet; some Linux devices allow an MTU that is slightly larger. */
const maxMtuBytes = 65_535

export const nodeSettings = {
  nodeName: {
    variable: 'CAUSEWAY_NODE_NAME',
    parse: nodeName,
    isRequired: true,
    help: "name of this node's Node object",
    install: { by: 'installation', value: "the pod's `spec.nodeName`" },
  },
  /** The kubeconfig file; absent: the agent uses the credentials of the pod that it runs in. */
  kubeconfig: {
    variable: 'CAUSEWAY_KUBECONFIG',
    parse: anyText,
    unset: 'the credentials of the pod it runs in',
    help: 'kubeconfig file',
    install: { by: 'nobody' },
  },
  /** The namespace in which Causeway is installed, and in which the Secrets that BGP objects name are looked up. */
  namespace: {
    variable: 'CAUSEWAY_NAMESPACE',
    parse: anyText,
    default: 'causeway-system',
    help: 'where Causeway is installed; Secrets of BGP are there',
    install: { by: 'installation', value: 'the namespace of `--namespace`' },
  },
  /** The directory of the state file, which records the addresses in use and survives restarts and reboots. */
  stateDir: {
    variable: 'CAUSEWAY_STATE_DIR',
    parse: absolutePath,
    default: '/var/lib/causeway',
    help: 'addresses in use; survives reboots',
    install: { by: 'nobody' },
  },
  /** The directory of the sockets for the CNI shim and the command line. */
  runDir: {
    variable: 'CAUSEWAY_RUN_DIR',
    parse: absolutePath,
    default: '/run/causeway',
    help: 'sockets of the CNI plugin and the command line',
    install: { by: 'nobody' },
  },
  /** The directory of the node's sysctls. */
  procSys: {
    variable: 'CAUSEWAY_PROC_SYS',
    parse: absolutePath,
    default: '/proc/sys',
    help: "the node's sysctls; elsewhere in a container, whose own /proc/sys is read-only",
    install: { by: 'installation', value: 'where the container has them' },
  },
  datapath: {
    variable: 'CAUSEWAY_DATAPATH',
    parse: oneOf(...datapathNames),
    default: datapathNames[0],
    help: 'bridge or ebpf, where neither the object Routing nor the Node says another',
    // it also decides what the agents' pods can reach on their nodes
    install: { by: 'option', option: 'datapath', operand: 'NAME' },
  },
  /** The folder, in a bpffs, of pinned programs and maps. */
  bpfDir: {
    variable: 'CAUSEWAY_BPF_DIR',
    parse: absolutePath,
    default: '/sys/fs/bpf/causeway',
    help: 'programs and maps of the eBPF datapath, in a bpffs',
    install: { by: 'installation', value: 'where the container has it' },
  },
  /** The TCP port that serves health and metrics on all addresses of the node; absent: none does. */
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
  /** Whether the agent publishes this node's tunnel end in flannel's annotations. */
  flannelInterop: {
    variable: 'CAUSEWAY_FLANNEL_INTEROP',
    parse: either(['off', 'on'], 'on'),
    default: 'off',
    help: "on: flannel nodes reach this one by flannel's annotations; off: they do not",
    install: { by: 'set' },
  },
  /** How often each partner is asked whether packets arrive; 0: never. */
  probeIntervalMs: {
    variable: 'CAUSEWAY_PROBE_INTERVAL_S',
    parse: secondsFrom(0, 60),
    default: '1',
    help: 'seconds between probes of other nodes; 0: none are sent',
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

/** The settings whose values make up NetworkSettings. */
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
    // passed on even when not given: all nodes must agree, and a new default in a later version must not spread node by node in an upgrade
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
    help: "open: others' forward chains that drop or reject by default let pods pass; leave: they stay as they are",
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
