// The network configuration that container runtimes read ("Network configuration format" of the CNI specification). Pure.

import { type Chained } from '#/settings/cni-chain.ts'
import { type CniVersion, cniVersions, isAtLeast } from '#/wire/cni/index.ts'

/** The first of the folder's files in the order of names is the one that a runtime uses. */
export const conflistName = '10-causeway.conflist'
export const pluginName = 'causeway-cni'

const chainedEntries: Readonly<Record<Chained, object>> = {
  portmap: { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
  tuning: { type: 'tuning' },
}

/** A plugin that runs after ours, and the versions that it speaks. */
export type ChainedPlugin = { readonly name: Chained; readonly versions: readonly string[] }

/** For runtimes that go by `cniVersion`: all of them know it. */
const commonVersion: CniVersion = '1.0.0'

/** The versions that all of them speak, and we. */
export function versionsOfAll(chain: readonly ChainedPlugin[]): CniVersion[] {
  return cniVersions.filter((version) => chain.every(({ versions }) => versions.includes(version)))
}

/**
 * The plugin finds the agent by itself (docs/cni.md), so its entry has nothing but what it wants to be told. `cniVersions` is
 * read by runtimes that know 1.1, which then send GC and STATUS, and send the highest to the whole chain; others go by
 * `cniVersion`. Throws RangeError when the plugins of the chain have no version in common with us.
 */
export function renderConflist(plugins: readonly ChainedPlugin[]): string {
  const versions = versionsOfAll(plugins)
  const cniVersion = versions.findLast((version) => isAtLeast(commonVersion, version)) ?? versions[0]
  if (cniVersion === undefined) throw new RangeError('no CNI version that all plugins of the chain speak')
  const chain = plugins.map(({ name }) => name)
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
    cniVersion,
    cniVersions: versions,
    name: 'causeway',
    plugins: [own, ...chain.map((name) => chainedEntries[name])],
  }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** Names of files that a runtime takes before ours: what libcni reads (.conf, .conflist, .json), in its order. */
export function namesBefore(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < conflistName).toSorted()
}
