// `causeway agent`: the node agent as a process.
import { Agent } from '#/agent/agent.ts'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { readConfig } from '#/agent/config.ts'
import { createLogger, messageOf } from '#/lib/log.ts'
import { noMore, options } from './args.ts'
import { checked } from './checked.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

export const agentCommand: Action = {
  name: 'agent',
  summary: 'run the node agent (one per node)',
  help: `usage: causeway agent

Runs until SIGTERM or SIGINT, and leaves the kernel as it is: pods keep talking. Settings come from the environment:

  CAUSEWAY_NODE_NAME        name of this node's Node object (required)
  CAUSEWAY_CLUSTER_CIDRS    CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48 (required)
  CAUSEWAY_KUBECONFIG       kubeconfig file; without it, the credentials of the pod it runs in
  CAUSEWAY_STATE_DIR        addresses in use; survives reboots        (/var/lib/causeway)
  CAUSEWAY_RUN_DIR          sockets of the CNI plugin and the CLI     (/run/causeway)
  CAUSEWAY_VNI              VXLAN network identifier                  (1)
  CAUSEWAY_VXLAN_PORT       UDP port of the overlay                   (8472)
  CAUSEWAY_MTU              MTU of the underlay, where its devices promise too much (the device's)
  CAUSEWAY_ROUTING          vxlan, native or auto, where neither the object Routing nor the Node says another  (vxlan)
  CAUSEWAY_NAMESPACE        where Causeway is installed; Secrets of BGP are there  (causeway-system)
  CAUSEWAY_FORWARD_CHAINS   open: others' forward chains that drop by policy let pods pass; leave  (open)
  CAUSEWAY_FLANNEL_INTEROP  on: flannel nodes reach this one by flannel's annotations; off         (off)
  CAUSEWAY_HTTP_PORT        TCP port of /healthz, /readyz and /metrics; none when not set
  CAUSEWAY_ADDRESS_COOLDOWN_S
                            seconds before an address that was given back
                            goes to another pod                       (30)
  CAUSEWAY_LOG_LEVEL        debug, info, warn or error                (info)
  CAUSEWAY_PROC_SYS         sysctls of the network, in a container      (/proc/sys)
  CAUSEWAY_CNI_BIN_DIR      where to install the CNI plugin, such as /opt/cni/bin; with the next, or neither
  CAUSEWAY_CNI_CONF_DIR     where to write the CNI configuration, such as /etc/cni/net.d
  CAUSEWAY_CNI_PLUGIN       the plugin to install                     (the one built with this program)
  CAUSEWAY_CNI_CHAIN        plugins to run after it: portmap, bandwidth, tuning   (portmap, if it is installed)`,
  options: {},
  run: async (args) => {
    // from now on a signal ends what has been begun, in order
    const stop = stopRequested()
    noMore(options(args, {}).positionals)
    const build = new URL('../../build', import.meta.url).pathname
    const config = checked(() => ({ ...readConfig(process.env), cniInstall: readCniInstall(process.env, build) }))
    const log = createLogger({ level: config.logLevel, write: print, now: () => new Date().toISOString() })
    process.on('unhandledRejection', (error) => {
      // forwarding does not depend on us, and a restart is cheap: better none than one in an unknown state
      log.error('unexpected failure; the agent ends', { error: messageOf(error) })
      process.exit(70)
    })
    const agent = await Agent.create(config, log.with({ node: config.nodeName }))
    try {
      await agent.start()
      log.info('stopping', { signal: await until(stop) })
    } finally {
      // also when it could not start: what it has begun would keep the process
      await agent[Symbol.asyncDispose]()
    }
    return 0
  },
}
