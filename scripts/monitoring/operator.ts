// The objects for a cluster with prometheus-operator: which pods are scraped, and the alerts.
import { agentName } from '#/install/settings.ts'

const head = `# For a cluster with prometheus-operator: which pods it scrapes, and the alerts of alerts.yaml. Written by scripts/monitoring-files.ts.
# A Prometheus that selects by labels needs them here: kube-prometheus-stack selects "release: NAME".
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: ${agentName}
  namespace: causeway-system
  labels:
    app.kubernetes.io/name: ${agentName}
    app.kubernetes.io/part-of: causeway
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: ${agentName}
  jobLabel: app.kubernetes.io/name
  podMetricsEndpoints:
    # metrics of pods have the labels namespace and pod of these pods, not of the agent
    - honorLabels: true
      relabelings:
        # agents declare no port: one that another pod has would keep an agent, and with it its node, from starting
        - sourceLabels: [__meta_kubernetes_pod_ip]
          regex: ([\\d.]+)
          targetLabel: __address__
          replacement: $1:9474
        - sourceLabels: [__meta_kubernetes_pod_ip]
          regex: (.*:.*)
          targetLabel: __address__
          replacement: "[$1]:9474"
        - sourceLabels: [__meta_kubernetes_pod_node_name]
          targetLabel: node
        # an agent that is replaced stays the same target
        - action: labeldrop
          regex: pod|container|endpoint|namespace
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: causeway
  namespace: causeway-system
  labels:
    app.kubernetes.io/name: causeway
    app.kubernetes.io/part-of: causeway
spec:
`

/** The text of monitoring/prometheus-operator.yaml; `rules` is that of alerts.yaml. */
export function operatorText(rules: string): string {
  const groups = rules.slice(rules.indexOf('groups:'))
  return head + groups.replaceAll(/^(?=.)/gm, '  ')
}
