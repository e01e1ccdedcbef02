// `causeway controller`: gives each node its pod CIDRs, and tells in the status of objects what nodes make of them.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { connect } from '#/cluster/connect.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { Controller } from '#/controller/controller.ts'
import { createLogger } from '#/lib/log.ts'
import { controllerGroups, controllerSettings } from '#/settings/controller-settings.ts'
import { settingsHelp } from '#/settings/help.ts'
import { readSettings } from '#/settings/setting.ts'
import { tellUnknown, unknownSettings } from '#/settings/unknown.ts'
import { noMore, options } from './args.ts'
import { checked } from './checked.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'
import { stopRequested, until } from './signals.ts'

export const controllerCommand: Action = {
  name: 'controller',
  summary: 'give each node its pod CIDRs (where kube-controller-manager does not), write the status of objects',
  help: `usage: causeway controller

Runs until SIGTERM or SIGINT. Several may run: a Lease decides which one works.
Settings come from the environment; a variable that is empty counts as not set.
In parentheses is what holds when a variable is not set.

${settingsHelp(controllerGroups)}`,
  options: {},
  run: async (args) => {
    // from here on a signal ends the work begun, in order
    const stop = stopRequested()
    noMore(options(args, {}).positionals)
    const log = createLogger({ level: 'info', write: print, now: () => new Date().toISOString() })
    for (const unknown of unknownSettings(process.env, 'controller')) log.warn(tellUnknown(unknown, 'controller'))
    const { clusterCIDRs, ipv4MaskSize, ipv6MaskSize, givesPodCIDRs, kubeconfig, leaseNamespace } = checked(() =>
      readSettings(controllerSettings, process.env),
    )
    await using client = await connect(kubeconfig ? { kubeconfig } : {})
    // two replicas in one node's network share its host name and, in their containers, the process id
    const identity = `${hostname()}-${randomUUID()}`
    const recorder = new EventRecorder({ component: 'causeway-controller', instance: identity }, { client, log })
    await using controller = new Controller(
      { clusterCIDRs, nodeMaskSizes: { 4: ipv4MaskSize, 6: ipv6MaskSize }, givesPodCIDRs, identity, leaseNamespace },
      { client, log, recorder },
    )
    controller.start()
    log.info('controller started', { identity })
    log.info('stopping', { signal: await until(stop) })
    return 0
  },
}
