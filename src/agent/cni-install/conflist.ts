// The network configuration that container runtimes read ("Network configuration format" of the CNI specification). Pure.

/** The first of the folder's files in the order of names is the one that a runtime uses. */
export const conflistName = '10-causeway.conflist'
export const pluginName = 'causeway-cni'

/** What may run after our own plugin; each is one of the reference plugins (github.com/containernetworking/plugins). */
export const chainable = ['portmap', 'bandwidth', 'tuning'] as const
export type Chained = (typeof chainable)[number]

const chainedEntries: Readonly<Record<Chained, object>> = {
  portmap: { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
  tuning: { type: 'tuning' },
}

/**
 * The plugin finds the agent by itself (docs/cni.md), so its entry has nothing but what it wants to be told. `cniVersions` is
 * read by runtimes that know 1.1, which then send GC and STATUS; others go by `cniVersion`.
 */
export function renderConflist(chain: readonly Chained[]): string {
  const own = {
    type: pluginName,
    capabilities: {
      ips: true,
      mac: true,
      // one of the two limits a pod, not both
      ...(!chain.includes('bandwidth') && { bandwidth: true }),
      'io.kubernetes.cri.pod-annotations': true,
    },
  }
  const list = {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'causeway',
    plugins: [own, ...chain.map((name) => chainedEntries[name])],
  }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** Names of files that a runtime takes before ours: what libcni reads (.conf, .conflist, .json), in its order. */
export function namesBefore(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < conflistName).toSorted()
}
