// The pods that pull an upgrade's image (pull.ts). They do nothing but have it.
import { agentName, type InstallSettings, labelsOf, type Manifest, pullerName, unprivileged } from './settings.ts'

/** They use their node's network, so they need no CNI plugin and take no address. */
export function pullerDaemonSet({ namespace, image, nodeSelector }: InstallSettings): Manifest {
  const labels = labelsOf(pullerName)
  const container = {
    name: 'pull',
    image,
    command: ['sleep', 'infinity'],
    resources: { limits: { cpu: '100m', memory: '64Mi' }, requests: { cpu: '1m', memory: '1Mi' } },
    securityContext: unprivileged,
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: pullerName, namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          // imagePullSecrets of the account serve both; its token is for agents alone
          serviceAccountName: agentName,
          automountServiceAccountToken: false,
          hostNetwork: true,
          terminationGracePeriodSeconds: 0,
          // the nodes of the agents; without their priority, because no pod of a user is to make room for this one
          tolerations: [{ operator: 'Exists' }],
          nodeSelector: { 'kubernetes.io/os': 'linux', ...nodeSelector },
          containers: [container],
        },
      },
    },
  }
}
