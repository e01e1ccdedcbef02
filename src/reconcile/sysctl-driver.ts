// Sysctls. There is no owner's mark on them: they are set and kept, and left as they are when we go.
import { readSysctl, writeSysctl } from '#/sys/sysctl.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, type Comparison, type Driver } from './driver.ts'
import { missingDevice } from './missing-device.ts'
import { type Failure } from './status.ts'

/** The settings of a device stand in a folder named for it; "all" and "default" are always there. */
function missingDeviceOf(path: string): Failure | undefined {
  const device = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(path)?.[1]
  return device === undefined || device === 'all' || device === 'default' ? undefined : missingDevice(device)
}

export class SysctlDriver implements Driver {
  readonly kind = 'sysctl'

  compare({ sysctls }: DesiredNetwork): Comparison {
    const changes = sysctls
      .map(({ path, value }) => ({ path, value, found: readSysctl(path) }))
      .filter(({ found, value }) => found !== value)
      .map(({ path, value, found }): Change => ({
        verb: found === undefined ? 'add' : 'change',
        key: path,
        commands: [`sysctl -w ${path.replaceAll('/', '.')}=${value}`],
        work: { call: () => writeSysctl(path, value) },
        explain: ({ code }) => (code === 'ENOENT' ? missingDeviceOf(path) : undefined),
      }))
    return { keys: sysctls.map(({ path }) => path), changes, leftovers: [], failures: new Map() }
  }
}
