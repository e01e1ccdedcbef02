// Settings of the CNI installer. Without the runtime's folders it installs nothing, as in labs and tests, which have no runtime.
import { cniSettings } from '#/settings/agent-settings.ts'
import { type Chained } from '#/settings/cni-chain.ts'
import { type Environment, readSettings, SettingError } from '#/settings/setting.ts'
import { pluginName } from './conflist.ts'

export type CniInstallConfig = {
  /** Where the runtime looks for plugins, such as /opt/cni/bin. */
  readonly binDir: string
  /** Where the runtime looks for configurations, such as /etc/cni/net.d. */
  readonly confDir: string
  /** The plugin's executable that is copied to `binDir`. */
  readonly plugin: string
  /** The plugins that run after ours; absent: portmap, if it is in `binDir`. */
  readonly chain: readonly Chained[] | undefined
}

/**
 * Reads the settings; undefined when nothing is to be installed. `folder` contains the plugin that was built with this program.
 * Throws SettingError.
 */
export function readCniInstall(env: Environment, folder: string): CniInstallConfig | undefined {
  const { binDir, confDir, plugin = `${folder}/${pluginName}`, chain } = readSettings(cniSettings, env)
  if (binDir === undefined && confDir === undefined) return undefined
  if (binDir === undefined || confDir === undefined) {
    throw new SettingError(
      `CAUSEWAY_CNI_BIN_DIR="${binDir ?? ''}", CAUSEWAY_CNI_CONF_DIR="${confDir ?? ''}": give both, or none to install nothing`,
    )
  }
  return { binDir, confDir, plugin, chain }
}
