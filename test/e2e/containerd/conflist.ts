// What a node's container runtime finds in its CNI folders: the plugins, and the chain that is executed for each sandbox.
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { conflistFor } from '#/agent/cni-install/conflist.ts'
import { type Chained } from '#/settings/cni-chain.ts'

const debianPlugins = '/usr/lib/cni'
const ownPlugin = new URL('../../../build/causeway-cni', import.meta.url).pathname

/** What Debian's plugins speak. */
const versions = ['0.3.1', '0.4.0', '1.0.0']

/** As an agent writes it, but for a sysctl that tuning is to set. */
function conflist(chain: readonly Chained[]): string {
  const list = conflistFor(chain.map((name) => ({ name, versions })))
  const sysctl = { 'net.ipv4.conf.IFNAME.accept_redirects': '0' }
  return JSON.stringify({
    ...list,
    plugins: list.plugins.map((each) => (each['type'] === 'tuning' ? { ...each, sysctl } : each)),
  })
}

/** Fills both folders. */
export function installPlugins(binDir: string, confDir: string, chain: readonly Chained[]): void {
  mkdirSync(binDir, { recursive: true })
  mkdirSync(confDir, { recursive: true })
  for (const name of readdirSync(debianPlugins)) symlinkSync(join(debianPlugins, name), join(binDir, name))
  copyFileSync(ownPlugin, join(binDir, 'causeway-cni'))
  writeFileSync(join(confDir, '10-causeway.conflist'), conflist(chain))
}
