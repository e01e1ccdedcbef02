// Settings of the CNI installer. It works only where it is told the folders: in a lab, or under tests, there is no runtime.
import { isAbsolute } from 'node:path'
import { ConfigError } from '../config.ts'
import { chainable, type Chained, pluginName } from './conflist.ts'

export type CniInstallConfig = {
  /** Where the runtime looks for plugins, such as /opt/cni/bin. */
  readonly binDir: string
  /** Where the runtime looks for configurations, such as /etc/cni/net.d. */
  readonly confDir: string
  /** The plugin's executable that is put there. */
  readonly plugin: string
  /** Absent: portmap, when it is in `binDir`. */
  readonly chain: readonly Chained[] | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

function pathIn(env: Environment, name: string): string {
  const path = env[name] ?? ''
  if (path !== '' && !isAbsolute(path)) throw new ConfigError(`${name}="${path}": expected an absolute path`)
  return path
}

function isChained(name: string): name is Chained {
  return (chainable as readonly string[]).includes(name)
}

function chainIn(text: string | undefined): Chained[] | undefined {
  if (text === undefined) return undefined
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
  const known = names.filter(isChained)
  if (known.length < names.length || new Set(names).size < names.length) {
    throw new ConfigError(`CAUSEWAY_CNI_CHAIN="${text}": expected some of ${chainable.join(', ')}, each once`)
  }
  return known
}

/** undefined when the agent is to install nothing. `folder` has the plugin that was built with this program. */
export function readCniInstall(env: Environment, folder: string): CniInstallConfig | undefined {
  const binDir = pathIn(env, 'CAUSEWAY_CNI_BIN_DIR')
  const confDir = pathIn(env, 'CAUSEWAY_CNI_CONF_DIR')
  if (binDir === '' && confDir === '') return undefined
  if (binDir === '' || confDir === '') {
    throw new ConfigError(
      `CAUSEWAY_CNI_BIN_DIR="${binDir}", CAUSEWAY_CNI_CONF_DIR="${confDir}": give both, or none to install nothing`,
    )
  }
  const plugin = pathIn(env, 'CAUSEWAY_CNI_PLUGIN') || `${folder}/${pluginName}`
  return { binDir, confDir, plugin, chain: chainIn(env['CAUSEWAY_CNI_CHAIN']) }
}
