// Options that `install` and `uninstall` share: the cluster, and whether to change it or only print.
import { stringify } from 'yaml'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { type Manifest } from '#/install/settings.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { type OptionTable, UsageError } from './args.ts'

export const clusterOptions = {
  apply: { type: 'boolean', help: 'bring it to the cluster instead of printing it' },
  'dry-run': { type: 'boolean', help: "ask the cluster's API whether it would take it; change nothing" },
  kubeconfig: { type: 'string', value: 'FILE', help: 'which cluster', shownDefault: '$KUBECONFIG' },
  namespace: {
    type: 'string',
    value: 'NAME',
    default: nodeSettings.namespace.default,
    help: 'where agents and controller run',
  },
} as const satisfies OptionTable

/** kubectl reads YAML 1.1, in which on, off, yes and no are booleans unless quoted. */
export function toYaml(objects: readonly Manifest[]): string {
  return objects
    .map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' }))
    .join('---\n')
    .trimEnd()
}

/** Reads a namespace; throws UsageError for an invalid one. */
export function namespaceIn(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text
  throw new UsageError(`--namespace "${text}": expected lower-case letters, digits and dashes, at most 63`)
}

export async function connectTo(kubeconfig: string | undefined): Promise<ApiClient> {
  const path = kubeconfig ?? process.env['KUBECONFIG'] ?? ''
  if (path === '') throw new UsageError('no cluster is given: use --kubeconfig FILE, or set KUBECONFIG')
  return connect({ kubeconfig: path })
}
