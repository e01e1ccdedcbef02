// Through flannel's VXLAN device: its routes tell only a next hop, whose MAC a neighbour entry has, and where that MAC is an entry of the device.
import { restartFlannel } from '#/model/flannel.ts'
import { passes, stops } from '#/trace/predict-steps.ts'
import { type Prediction } from './context.ts'
import { type Firewalls } from './firewalls.ts'
import { flannelWayTo } from './flannel.ts'
import { type ViewLink } from './kernel-view.ts'
import { type Hop } from './routes.ts'
import { sendEncapsulated } from './tunnel.ts'

/** Into the tunnel, and out of the node. */
export async function sendByFdb(
  prediction: Prediction,
  firewalls: Firewalls,
  hop: Hop,
  device: ViewLink,
): Promise<void> {
  const mac = macOf(prediction, hop, device)
  if (mac === undefined) return
  const dst = await endOf(prediction, device, mac)
  const src = device.vxlan?.local
  if (dst === undefined || src === undefined) return
  const before = prediction.steps.length
  await sendEncapsulated(prediction, firewalls, device, { vni: device.vxlan?.id ?? 0, src, dst })
  if (wayOf(prediction)?.remote.equals(dst) === false) blameNothingSince(prediction, before)
}

/** What is in the way to an end that is not the node's does not keep packets from the node: that they go there does. */
function blameNothingSince({ steps }: Prediction, before: number): void {
  for (const [index, { kind, text, device, next }] of steps.slice(before).entries())
    steps[before + index] = passes(kind, text, {
      ...(device !== undefined && { device }),
      ...(next !== undefined && { next }),
    })
}

function wayOf({ deps, packet }: Prediction) {
  const way = deps.flannel && flannelWayTo(deps.flannel, packet.dst)
  return way?.kind === 'vxlan' ? way : undefined
}

/** The MAC that the frame in the tunnel gets; undefined, and a step, where the kernel has none. */
function macOf(prediction: Prediction, { gateway }: Hop, device: ViewLink): string | undefined {
  const { deps, packet } = prediction
  const way = wayOf(prediction)
  const addr = gateway ?? packet.dst
  const who = `the VTEP of node ${way?.node ?? 'that is not known'}`
  const found = prediction.kernel.neighbourNow(device, addr)
  const state = found === undefined ? 'no entry' : found.state
  const at = { device: device.name }
  const mend = {
    code: 'CW6502',
    remedy: `${restartFlannel(deps.nodeName)}${way ? `; until then: ip neigh replace ${addr} lladdr ${way.mac} dev ${device.name} nud permanent` : ''}`,
  }
  if (found?.mac === undefined) {
    prediction.add(
      stops(
        'neighbour',
        `${who} (${addr}) has no MAC on ${device.name} (${state}), and nobody answers there`,
        at,
        mend,
      ),
    )
    return undefined
  }
  const { mac } = found
  const isOther = way !== undefined && way.gateway.equals(addr) && way.mac !== mac
  prediction.add(
    isOther
      ? stops(
          'neighbour',
          `${who} (${addr}) has the MAC ${way.mac}, and the kernel sends to ${mac} (${state})`,
          at,
          mend,
        )
      : passes('neighbour', `${who} (${addr}) is at ${mac} (${state})`, at),
  )
  return mac
}

/** The tunnel end that has the MAC; undefined, and a step, where the device knows none. */
async function endOf(prediction: Prediction, device: ViewLink, mac: string) {
  const { deps } = prediction
  const way = wayOf(prediction)
  const entries = await prediction.kernel.tunnelEnds(device, mac)
  const at = { device: device.name }
  const expected = way?.mac === mac ? way : undefined
  const add = expected && `bridge fdb append ${mac} dev ${device.name} dst ${expected.remote} self permanent`
  const mend = (stale: string) => ({
    code: 'CW6503',
    remedy: `${restartFlannel(deps.nodeName)}${add === undefined ? '' : `; until then: ${stale}${add}`}`,
  })
  const end = entries.find((dst) => expected && dst.equals(expected.remote)) ?? entries[0]
  if (end === undefined) {
    const text = `${device.name} does not know where ${mac} is, and drops what goes there`
    // a MAC that is wrong is told already, and is nowhere
    prediction.add(way !== undefined && way.mac !== mac ? passes('fdb', text, at) : stops('fdb', text, at, mend('')))
    return undefined
  }
  if (expected && !end.equals(expected.remote)) {
    const stale = `bridge fdb del ${mac} dev ${device.name} dst ${end} self; `
    const text = `${device.name} sends frames for ${mac} to ${end}, and node ${expected.node} is at ${expected.remote}`
    prediction.add(stops('fdb', text, at, mend(stale)))
  } else prediction.add(passes('fdb', `${device.name} sends frames for ${mac} to ${end}`, at))
  return end
}
