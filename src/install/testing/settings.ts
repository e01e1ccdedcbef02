// For tests: an installation of both families as most clusters have it.
import { defaultSettings, type InstallSettings } from '../settings.ts'

export const dualStack: InstallSettings = {
  ...defaultSettings,
  image: 'example/causeway:1',
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'],
  cniChain: undefined,
  agentSettings: {},
  nodeSelector: {},
  hasController: true,
  nodeMaskSizes: { 4: undefined, 6: undefined },
  apiServer: undefined,
}
