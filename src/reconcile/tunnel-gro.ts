// Generic receive offload of the tunnel's device. The kernel joins the segments of a TCP flow into large packets where they enter the node,
// those inside of VXLAN too. Where the underlay's devices do that, the same once more behind the tunnel finds nothing to join, and costs
// every packet a turn of its own: 4 % of the round trips between pods. Where one of them does not, the tunnel's device is the only place.
import { hasGro, setGro } from '#/sys/ethtool.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type Change } from './driver.ts'

/** The change that the device needs; undefined when none, or when it is not there. */
export function groChange(device: string, passage: NeededPassage | undefined): Change | undefined {
  const actual = hasGro(device)
  const underlay = passage?.underlayDevices ?? []
  const isNeeded = underlay.length === 0 || underlay.some((each) => hasGro(each) !== true)
  if (actual === undefined || actual === isNeeded) return undefined
  return {
    verb: 'change',
    key: device,
    commands: [`ethtool -K ${device} gro ${isNeeded ? 'on' : 'off'}`],
    work: { call: () => setGro(device, isNeeded) },
  }
}
