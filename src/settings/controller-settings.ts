// Every setting of the controller. To add one, see agent-settings.ts; src/cli/controller.ts must also pass the value on.
import { networkSettings, nodeSettings } from './agent-settings.ts'
import { anyText, either, numberFrom } from './parsers.ts'
import { type SettingGroup, type Settings } from './setting.ts'

export const controllerSettings = {
  clusterCIDRs: {
    ...networkSettings.clusterCIDRs,
    help: 'CIDRs to cut node CIDRs from, such as 10.244.0.0/16,fd10:244::/48',
  },
  ipv4MaskSize: {
    variable: 'CAUSEWAY_NODE_MASK_SIZE_IPV4',
    parse: numberFrom(1, 32),
    default: '24',
    help: "length of a node's IPv4 CIDR",
    install: { by: 'option', option: 'node-mask-size-ipv4', operand: 'N' },
  },
  ipv6MaskSize: {
    variable: 'CAUSEWAY_NODE_MASK_SIZE_IPV6',
    parse: numberFrom(1, 128),
    default: '64',
    help: "length of a node's IPv6 CIDR",
    install: { by: 'option', option: 'node-mask-size-ipv6', operand: 'N' },
  },
  givesPodCIDRs: {
    variable: 'CAUSEWAY_GIVE_POD_CIDRS',
    parse: either(['yes', 'no'], 'yes'),
    default: 'yes',
    help: 'whether nodes get their pod CIDRs; with "no" only the status of objects is written',
    install: { by: 'installation', value: 'yes with `--controller yes`, no with `--controller status`' },
  },
  kubeconfig: nodeSettings.kubeconfig,
  leaseNamespace: {
    variable: 'CAUSEWAY_LEASE_NAMESPACE',
    parse: anyText,
    default: 'kube-system',
    help: 'where the Lease is kept',
    install: { by: 'installation', value: 'the namespace of `--namespace`' },
  },
} as const satisfies Settings

export const controllerGroups: readonly SettingGroup[] = [{ title: 'The controller', settings: controllerSettings }]
