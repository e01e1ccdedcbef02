// Makes the network configuration that container runtimes read ("Network configuration format" of the CNI specification). Pure.

import { type Chained } from '#/settings/cni-chain.ts'
import { type CniVersion, cniVersions, isAtLeast } from '#/wire/cni/index.ts'

/** The name begins with a low number because a runtime uses only the first file of the folder in the order of names. */
export const conflistName = '10-causeway.conflist'
export const pluginName = 'causeway-cni'

const chainedEntries: Readonly<Record<Chained, object>> = {
  // host ports are ours; beside them portmap does the same once more, and takes away what it did for pods before there were ours
  portmap: { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
  tuning: { type: 'tuning' },
}

/** A plugin that runs after ours, and the versions that it speaks. */
export type ChainedPlugin = { readonly name: Chained; readonly versions: readonly string[] }

/** The highest version for runtimes that read only `cniVersion`: all of them know it. */
const commonVersion: CniVersion = '1.0.0'

/** The versions that both our plugin and all plugins of the chain speak. */
export function versionsOfAll(chain: readonly ChainedPlugin[]): CniVersion[] {
  return cniVersions.filter((version) => chain.every(({ versions }) => versions.includes(version)))
}

/**
 * Our plugin finds the agent by itself (docs/cni.md), so its entry only lists the capabilities that it wants to be passed. Runtimes that
 * know CNI 1.1 read `cniVersions`, use its highest version for the whole chain, and with 1.1 send GC and STATUS; others read `cniVersion`.
 * Throws RangeError when the plugins of the chain have no version in common with ours.
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
      portMappings: true,
      // either our plugin or the plugin bandwidth limits a pod's traffic, not both
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

/** The configuration files that a runtime prefers to ours: libcni reads .conf, .conflist and .json, in the order of their names. */
export function namesBefore(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < conflistName).toSorted()
}
