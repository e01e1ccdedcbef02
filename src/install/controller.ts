// The controller: two replicas, of which a lease chooses one. It uses its node's network, since no pod network exists before it runs.
import { controllerGroups, controllerSettings } from '#/settings/controller-settings.ts'
import { passedEnvironment } from '#/settings/passing.ts'
import {
  apiServerVariables,
  controllerName,
  type InstallSettings,
  labelsOf,
  type Manifest,
  unprivileged,
} from './settings.ts'

export function controllerDeployment(settings: InstallSettings): Manifest {
  const { namespace, image, given } = settings
  const labels = labelsOf(controllerName)
  const own = {
    [controllerSettings.givesPodCIDRs.variable]: { value: settings.controller === 'yes' ? 'yes' : 'no' },
    [controllerSettings.leaseNamespace.variable]: { value: namespace },
  }
  const container = {
    name: 'controller',
    image,
    args: ['controller'],
    env: [...passedEnvironment(controllerGroups, given, own), ...apiServerVariables(settings)],
    resources: { requests: { cpu: '20m', memory: '80Mi' }, limits: { memory: '512Mi' } },
    securityContext: unprivileged,
  }
  const apart = {
    weight: 100,
    podAffinityTerm: { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: controllerName, namespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: controllerName,
          hostNetwork: true,
          priorityClassName: 'system-cluster-critical',
          tolerations: [
            { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' },
            // nodes are not ready before this controller gives them pod CIDRs
            { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoSchedule' },
            { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' },
          ],
          nodeSelector: { 'kubernetes.io/os': 'linux' },
          affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [apart] } },
          containers: [container],
        },
      },
    },
  }
}
