// `causeway controller`: gives each node its pod CIDRs.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { connect } from '#/cluster/connect.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { parseCIDRs } from '#/agent/config.ts'
import { PodCidrController } from '#/controller/pod-cidr-controller.ts'
import { createLogger } from '#/lib/log.ts'
import { noMore, options, UsageError } from './args.ts'
import { checked } from './checked.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

function maskSize(variable: string, fallback: number, max: number): number {
  const text = process.env[variable] ?? String(fallback)
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > max)
    throw new UsageError(`${variable}="${text}": expected a number from 1 to ${max}`)
  return value
}

export const controllerCommand: Action = {
  name: 'controller',
  summary: 'give each node its pod CIDRs (where kube-controller-manager does not)',
  help: `usage: causeway controller

Runs until SIGTERM or SIGINT. Several may run: a Lease decides which one works. Settings come from the environment:

  CAUSEWAY_CLUSTER_CIDRS         CIDRs to cut node CIDRs from, such as 10.244.0.0/16,fd10:244::/48 (required)
  CAUSEWAY_NODE_MASK_SIZE_IPV4   length of a node's IPv4 CIDR    (24)
  CAUSEWAY_NODE_MASK_SIZE_IPV6   length of a node's IPv6 CIDR    (64)
  CAUSEWAY_KUBECONFIG            kubeconfig file; without it, the credentials of the pod it runs in
  CAUSEWAY_LEASE_NAMESPACE       where the Lease is kept         (kube-system)`,
  options: {},
  run: async (args) => {
    // from now on a signal ends what has been begun, in order
    const stop = stopRequested()
    noMore(options(args, {}).positionals)
    const log = createLogger({ level: 'info', write: print, now: () => new Date().toISOString() })
    const kubeconfig = process.env['CAUSEWAY_KUBECONFIG']
    const clusterCIDRs = checked(() =>
      parseCIDRs(process.env['CAUSEWAY_CLUSTER_CIDRS'] ?? '', 'CAUSEWAY_CLUSTER_CIDRS'),
    )
    const nodeMaskSizes = {
      4: maskSize('CAUSEWAY_NODE_MASK_SIZE_IPV4', 24, 32),
      6: maskSize('CAUSEWAY_NODE_MASK_SIZE_IPV6', 64, 128),
    }
    const leaseNamespace = process.env['CAUSEWAY_LEASE_NAMESPACE'] ?? 'kube-system'
    await using client = await connect(kubeconfig ? { kubeconfig } : {})
    // two replicas in one node's network have its name and, in their containers, the same process id
    const identity = `${hostname()}-${randomUUID()}`
    const recorder = new EventRecorder({ component: 'causeway-controller', instance: identity }, { client, log })
    await using controller = new PodCidrController(
      { clusterCIDRs, nodeMaskSizes, identity, leaseNamespace },
      { client, log, recorder },
    )
    controller.start()
    log.info('controller started', { identity })
    log.info('stopping', { signal: await until(stop) })
    return 0
  },
}
