// For tests: an installation of both families as most clusters have it.
import { nodeSettings } from '#/settings/agent-settings.ts'
import { type InstallSettings } from '../settings.ts'

export const clusterCIDRs = '10.244.0.0/16,fd10:244::/48'

export const dualStack: InstallSettings = {
  namespace: nodeSettings.namespace.default,
  image: 'example/causeway:1',
  given: { CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs },
  nodeSelector: {},
  controller: 'yes',
  apiServer: undefined,
}
