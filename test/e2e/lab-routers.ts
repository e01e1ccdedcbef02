// What tests ask the routers of a lab with racks.
import { type RouterKind } from '#/lab/spec.ts'
import { countPackets, eventually, must, type TestLab } from './harness.ts'

/** Roles of a router's processes, and who of them speaks BGP. */
export const daemons: Readonly<Record<RouterKind, (router: string) => { all: string[]; speaker: string }>> = {
  bird: (router) => ({ all: [`router-${router}`], speaker: `router-${router}` }),
  frr: (router) => ({ all: [`router-${router}-bgpd`, `router-${router}-zebra`], speaker: `router-${router}-bgpd` }),
}

function folderOf(lab: TestLab, router: string): string {
  return `/run/causeway-lab/${lab.name}/routers/${router}`
}

export function birdc(lab: TestLab, router: string, ...command: readonly string[]): string {
  return must('birdc', '-s', `${folderOf(lab, router)}/bird.ctl`, ...command)
}

function establishedSessions(lab: TestLab, kind: RouterKind, router: string): number {
  if (kind === 'bird') return birdc(lab, router, 'show', 'protocols').match(/ Established\b/g)?.length ?? 0
  const text = must('vtysh', '--vty_socket', folderOf(lab, router), '-c', 'show bgp ipv4 unicast summary json')
  const { peers = {} } = JSON.parse(text) as { peers?: Record<string, { state: string }> }
  return Object.values(peers).filter(({ state }) => state === 'Established').length
}

/** Whether BIRD still waits for what its neighbours told it before it was started again (RFC 4724 section 4.2). */
function isRestarting(lab: TestLab, router: string): boolean {
  return birdc(lab, router, 'show', 'status').includes('Graceful restart recovery in progress')
}

/**
 * Until the daemon of rack-1, which was killed and is back, speaks with `count` neighbours again and has heard all of them, and `place`
 * reaches all of `addrs`.
 */
export async function recovered(
  lab: TestLab,
  kind: RouterKind,
  count: number,
  place: string,
  addrs: readonly string[],
): Promise<void> {
  const isUp = () => establishedSessions(lab, kind, 'rack-1') === count
  await eventually('the sessions of rack-1', isUp)
  if (kind === 'bird') await eventually('all that BIRD knew before', () => !isRestarting(lab, 'rack-1'))
  for (const addr of addrs)
    await eventually(`${addr} from ${place}`, () => lab.inside(place, 'ping', '-c1', '-W1', addr).status === 0)
}

/** From the pod of node-1 to that of node-2, which are of different racks, over each family. */
export function flowsBetweenRacks(lab: TestLab, addrs: readonly string[], packets: number) {
  return addrs.map((addr) => countPackets(`cw-${lab.name}-pod-default-web-1`, addr, packets, 0.01))
}
