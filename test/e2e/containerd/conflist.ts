// What a node's container runtime finds in its CNI folders: the plugins, and the chain that is executed for each sandbox.
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const debianPlugins = '/usr/lib/cni'
const ownPlugin = new URL('../../../build/causeway-cni', import.meta.url).pathname

/** The newest version that containerd 1.6 speaks is 1.0.0. */
const conflist = {
  cniVersion: '1.0.0',
  name: 'causeway',
  plugins: [
    { type: 'causeway-cni' },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.accept_redirects': '0' } },
  ],
}

/** Fills both folders. */
export function installPlugins(binDir: string, confDir: string): void {
  mkdirSync(binDir, { recursive: true })
  mkdirSync(confDir, { recursive: true })
  for (const name of readdirSync(debianPlugins)) symlinkSync(join(debianPlugins, name), join(binDir, name))
  copyFileSync(ownPlugin, join(binDir, 'causeway-cni'))
  writeFileSync(join(confDir, '10-causeway.conflist'), JSON.stringify(conflist))
}
