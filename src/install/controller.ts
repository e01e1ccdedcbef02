// The controller: two replicas, of which a lease chooses one. It runs in its node's network, since without it there is no other.
import { controllerName, type InstallSettings, labelsOf, type Manifest } from './settings.ts'

export function controllerDeployment(settings: InstallSettings): Manifest {
  const { namespace, image, clusterCIDRs, nodeMaskSizes, apiServer } = settings
  const labels = labelsOf(controllerName)
  const values: Record<string, string> = {
    CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs.join(','),
    CAUSEWAY_LEASE_NAMESPACE: namespace,
    ...(nodeMaskSizes[4] !== undefined && { CAUSEWAY_NODE_MASK_SIZE_IPV4: nodeMaskSizes[4] }),
    ...(nodeMaskSizes[6] !== undefined && { CAUSEWAY_NODE_MASK_SIZE_IPV6: nodeMaskSizes[6] }),
    ...(apiServer && { KUBERNETES_SERVICE_HOST: apiServer.host, KUBERNETES_SERVICE_PORT: apiServer.port }),
  }
  const container = {
    name: 'controller',
    image,
    args: ['controller'],
    env: Object.entries(values).map(([name, value]) => ({ name, value })),
    resources: { requests: { cpu: '20m', memory: '80Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      runAsUser: 65_534,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
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
            // nodes are not ready before they have pod CIDRs, which come from here
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
