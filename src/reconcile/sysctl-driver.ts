// Sysctls. They carry no mark of an owner: Causeway sets and keeps them, and leaves them as they are when it is removed.
import { readSysctl, writeSysctl } from '#/sys/sysctl.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, type Comparison, type Driver } from './driver.ts'
import { missingDevice } from './missing-device.ts'
import { type Failure } from './status.ts'

/** A device's sysctls are in a folder with the device's name, which exists as long as the device; "all" and "default" always exist. */
function missingDeviceOf(path: string): Failure | undefined {
  const device = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(path)?.[1]
  return device === undefined || device === 'all' || device === 'default' ? undefined : missingDevice(device)
}

export class SysctlDriver implements Driver {
  readonly kind = 'sysctl'

  compare({ sysctls }: DesiredNetwork): Comparison {
    const read = sysctls
      .map((each) => ({ ...each, found: readSysctl(each.path) }))
      .filter(({ found, isOptional }) => found !== undefined || isOptional !== true)
    const changes = read
      .filter(({ found, value }) => found !== value)
      .map(({ path, value, found }): Change => ({
        verb: found === undefined ? 'add' : 'change',
        key: path,
        commands: [`sysctl -w ${path.replaceAll('/', '.')}=${value}`],
        work: { call: () => writeSysctl(path, value) },
        explain: ({ code }) => (code === 'ENOENT' ? missingDeviceOf(path) : undefined),
      }))
    return { keys: read.map(({ path }) => path), changes, leftovers: [], failures: new Map() }
  }
}
