// Looks whether a namespace's kernel has the MAC of a next hop. Where it has none, it is told to ask, as it does for any packet: without that
// nobody knows whether the neighbour is there, and an entry that failed stays so until there is a packet again, though it may have come back.
import { setTimeout as sleep } from 'node:timers/promises'
import { findNeighbour, neighbourUse } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Addr } from '#/lib/addr.ts'
import { neighbourStep } from '#/trace/predict-neighbour.ts'
import { type PredictedStep } from '#/trace/predict-steps.ts'
import { type Neighbour, neighbourState } from '#/wire/netlink/neigh.ts'
import { type Device } from './routes.ts'

/** Longer than the second after which the kernel asks again. */
const answerMs = 1200
const lookAgainMs = 20

const lacksMac = (found: Neighbour | undefined): boolean =>
  found === undefined || ['none', 'incomplete', 'failed'].includes(neighbourState(found.state))

/** What the kernel has of the neighbour, after it had the time to ask where it had nothing to send to. */
async function lookedUp(netlink: Netlink, device: Device, addr: Addr): Promise<Neighbour | undefined> {
  let found = findNeighbour(netlink, device, addr)
  if (!lacksMac(found)) return found
  netlink.executeAll([{ ...neighbourUse(device, addr), mayFail: true }])
  for (let waitedMs = 0; lacksMac(found) && waitedMs < answerMs; waitedMs += lookAgainMs) {
    await sleep(lookAgainMs)
    found = findNeighbour(netlink, device, addr)
  }
  return found
}

export type NeighbourQuestion = {
  readonly device: Device
  readonly addr: Addr
  readonly who: string
  readonly pod?: string
  readonly expectedMac?: string
}

/** Tells the step; of the namespace that the socket is in. */
export async function neighbourOf(netlink: Netlink, question: NeighbourQuestion): Promise<PredictedStep> {
  const { device, addr, who, pod, expectedMac } = question
  const found = await lookedUp(netlink, device, addr)
  const state = found && neighbourState(found.state)
  const command = `ip neigh del ${addr} dev ${device.name}`
  return neighbourStep({
    at: { device: device.name, ...(pod !== undefined && { pod }) },
    addr: String(addr),
    who,
    ...(state !== undefined && state !== 'none' && { state }),
    ...(found?.mac !== undefined && { mac: found.mac }),
    ...(expectedMac !== undefined && { expectedMac }),
    isPermanent: state === 'permanent',
    flush: pod === undefined ? command : `in the namespace of pod ${pod}: ${command}`,
  })
}
