// The network configuration that container runtimes read ("Network configuration format" of the CNI specification): what Causeway wants in
// it, joined with what others have put into it. Pure.
import { isDeepStrictEqual } from 'node:util'
import { type Chained, chainable } from '#/settings/cni-chain.ts'
import { type CniVersion, cniVersions, isAtLeast } from '#/wire/cni/index.ts'

/** The name begins with a low number because a runtime uses only the first file of the folder in the order of names. */
export const conflistName = '10-causeway.conflist'
export const pluginName = 'causeway-cni'
const networkName = 'causeway'

type Fields = Readonly<Record<string, unknown>>

/** A configuration file as JSON. Of its `plugins` those that are no objects are left out. */
export type Conflist = Fields & { readonly plugins: readonly Fields[] }

const chainedEntries: Readonly<Record<Chained, Fields>> = {
  // host ports are ours; beside them portmap does the same once more, and takes away what it did for pods before there were ours
  portmap: { type: 'portmap', capabilities: { portMappings: true }, snat: true },
  bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
  tuning: { type: 'tuning' },
}

/** A plugin that runs after ours, and the versions that it speaks. */
export type ChainedPlugin = { readonly name: Chained; readonly versions: readonly string[] }

/** The highest version for runtimes that read only `cniVersion`: all of them know it. */
const commonVersion: CniVersion = '1.0.0'

/** The versions that our plugin and all of the given ones speak. */
export function versionsOfAll(plugins: readonly { readonly versions: readonly string[] }[]): CniVersion[] {
  return cniVersions.filter((version) => plugins.every(({ versions }) => versions.includes(version)))
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads a configuration file; undefined when it is no JSON object. */
export function readConflist(text: string): Conflist | undefined {
  try {
    const list: unknown = JSON.parse(text)
    if (!isFields(list)) return undefined
    const { plugins } = list
    return { ...list, plugins: Array.isArray(plugins) ? plugins.filter(isFields) : [] }
  } catch {
    return undefined
  }
}

function chainedOf(own: Fields | undefined): readonly unknown[] | undefined {
  const chained = own?.['chained']
  return Array.isArray(chained) ? chained : undefined
}

/**
 * Tells which entries are Causeway's: its own, and the first of each name that its own entry lists as chained. An agent of before wrote no
 * such list: then it is an entry as that agent wrote it.
 */
function ownershipIn(plugins: readonly Fields[]): (entry: Fields) => boolean {
  const chained = chainedOf(plugins.find(({ type }) => type === pluginName))
  const firsts = chained && new Set(chained.map((name) => plugins.find(({ type }) => type === name)))
  return (entry) => {
    if (entry['type'] === pluginName) return true
    if (firsts) return firsts.has(entry)
    return chainable.some((name) => isDeepStrictEqual(entry, chainedEntries[name]))
  }
}

/** The entries of others, in their order. */
export function othersIn({ plugins }: Conflist): Fields[] {
  const isOurs = ownershipIn(plugins)
  return plugins.filter((entry) => !isOurs(entry))
}

/** The type of an entry, which is the name of the plugin's executable; undefined for one that libcni would not execute. */
export function executableOf({ type }: Fields): string | undefined {
  return typeof type === 'string' && type !== '' && !type.includes('/') ? type : undefined
}

/**
 * Puts our entries into the list: ours that are there are renewed in their place, those that are wanted no more go, missing ones follow the
 * last of ours. Entries of others stay where they are, and so do fields that others gave to chained entries.
 */
function joinPlugins(found: readonly Fields[], wanted: readonly Fields[]): Fields[] {
  const isOurs = ownershipIn(found)
  const due = new Map(wanted.map((entry) => [entry['type'], entry]))
  const joined: Fields[] = []
  let end = 0
  for (const entry of found) {
    const { type } = entry
    if (!isOurs(entry)) joined.push(entry)
    else if (due.has(type)) {
      // nobody else has a reason to write our plugin's entry
      joined.push({ ...(type !== pluginName && entry), ...due.get(type) })
      due.delete(type)
      end = joined.length
    }
  }
  return joined.toSpliced(end, 0, ...due.values())
}

/**
 * The configuration with our plugin, the chained ones, and what others have put into `found`. `others` are the plugins of others in it.
 * Our plugin finds the agent by itself (docs/cni.md), so its entry only lists the capabilities that it wants to be passed, and which of the
 * other entries are Causeway's. Runtimes that know CNI 1.1 read `cniVersions`, use its highest version for the whole chain, and with 1.1
 * send GC and STATUS; others read `cniVersion`. Throws RangeError when the plugins have no version in common with ours.
 */
export function conflistFor(
  chain: readonly ChainedPlugin[],
  found: Conflist = { plugins: [] },
  others: readonly { readonly versions: readonly string[] }[] = [],
): Conflist {
  const versions = versionsOfAll([...chain, ...others])
  const cniVersion = versions.findLast((version) => isAtLeast(commonVersion, version)) ?? versions[0]
  if (cniVersion === undefined) throw new RangeError('no CNI version that all plugins of the chain speak')
  const ofOthers = new Set(othersIn(found).map(executableOf))
  // where another has an entry for a plugin, that one serves: the plugin must not run twice
  const names = chain.map(({ name }) => name).filter((name) => !ofOthers.has(name))
  // either our plugin or the plugin bandwidth limits a pod's traffic, not both
  const isLimitedElsewhere = names.includes('bandwidth') || ofOthers.has('bandwidth')
  const own = {
    type: pluginName,
    capabilities: {
      ips: true,
      mac: true,
      portMappings: true,
      ...(!isLimitedElsewhere && { bandwidth: true }),
      'io.kubernetes.cri.pod-annotations': true,
    },
    chained: names,
  }
  const plugins = joinPlugins(found.plugins, [own, ...names.map((name) => chainedEntries[name])])
  return { ...found, cniVersion, cniVersions: versions, name: networkName, plugins }
}

export function conflistText(list: Conflist): string {
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** The configuration files that a runtime prefers to ours: libcni reads .conf, .conflist and .json, in the order of their names. */
export function namesBefore(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < conflistName).toSorted()
}

/**
 * Whether a configuration of another leads to Causeway's plugin: it has an entry for it (as multus in `delegates`, or a service mesh in its
 * own copy of our list), or names our file or network (as multus in `clusterNetwork`).
 */
export function leadsToOurs(text: string): boolean {
  const leads = (value: unknown, key: string): boolean => {
    if (typeof value === 'string')
      return (
        value.split('/').at(-1) === conflistName ||
        (key === 'type' && value === pluginName) ||
        (key === 'clusterNetwork' && value === networkName)
      )
    return (
      typeof value === 'object' && value !== null && Object.entries(value).some(([name, each]) => leads(each, name))
    )
  }
  try {
    return leads(JSON.parse(text), '')
  } catch {
    return false
  }
}
