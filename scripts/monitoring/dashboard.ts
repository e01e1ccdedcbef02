// Grafana's JSON model of the dashboard.
import { panels } from './layout.ts'

const datasource = { type: 'prometheus', uid: '${datasource}' }

/** A variable with the values of a label; all of them, and series without it, unless some are chosen. */
function choice(name: string, label: string, query: string): object {
  return {
    type: 'query',
    name,
    label,
    datasource,
    definition: query,
    query: { qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
    options: [],
    hide: 0,
    regex: '',
    skipUrlSync: false,
  }
}

export const dashboard = {
  uid: 'causeway',
  title: 'Causeway',
  description: "The cluster's network: is it healthy, where not, since when. Written by scripts/monitoring-files.ts.",
  tags: ['causeway', 'kubernetes', 'network'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  graphTooltip: 1,
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  timezone: '',
  weekStart: '',
  fiscalYearStartMonth: 0,
  liveNow: false,
  links: [],
  annotations: {
    list: [
      {
        name: 'Alerts of Causeway',
        enable: true,
        hide: false,
        iconColor: 'red',
        datasource,
        expr: 'ALERTS{alertname=~"Causeway.*", alertstate="firing", severity="critical"}',
        titleFormat: '{{alertname}}',
        textFormat: '{{node}} {{code}} {{object}}',
        step: '60s',
      },
    ],
  },
  templating: {
    list: [
      {
        type: 'datasource',
        name: 'datasource',
        label: 'Prometheus',
        query: 'prometheus',
        current: {},
        options: [],
        hide: 0,
        includeAll: false,
        multi: false,
        refresh: 1,
        regex: '',
        skipUrlSync: false,
      },
      choice('cluster', 'Cluster', 'label_values(causeway_nodes, cluster)'),
      choice('node', 'Node', 'label_values(causeway_nodes{cluster=~"$cluster"}, node)'),
    ],
  },
  panels: panels.map((panel, index) => ({ id: index + 1, ...panel })),
} as const

/** The text of monitoring/dashboard.json. */
export function dashboardText(): string {
  return `${JSON.stringify(dashboard, undefined, 2)}\n`
}
