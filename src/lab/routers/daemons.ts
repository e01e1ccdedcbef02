// The routing daemons of a lab's routers: their processes, files and commands. A daemon's files (configuration, sockets, pid files that
// this code does not read) are in the lab's own folder.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { listRoutes } from '#/kernel/routes.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { LabPaths } from '../paths.ts'
import { labProcesses, signalProcesses, startProcess } from '../processes.ts'
import { type LabSpec, type RouterKind } from '../spec.ts'
import { birdConfig } from './bird.ts'
import { type Router, routersOf } from './fabric.ts'
import { bgpdConfig, zebraConfig } from './frr.ts'
import { ensureFrrFolders, inFrrHome, zebraSocketIn } from './frr-home.ts'

const birdProgram = '/usr/sbin/bird'
const frrFolder = '/usr/lib/frr'
/** RTPROT_BIRD and RTPROT_BGP of include/uapi/linux/rtnetlink.h. */
const protocols: Readonly<Record<RouterKind, number>> = { bird: 12, frr: 186 }
/** How long zebra leaves its predecessor's routes in the kernel. */
const zebraSweepSeconds = 60

type Daemon = {
  readonly role: string
  readonly command: readonly string[]
  readonly config: { readonly path: string; readonly text: string }
  /** Whether the daemon reads its configuration again at SIGHUP. */
  readonly rereads: boolean
  /** The socket by which others know that the daemon is ready. A killed daemon leaves it behind. */
  readonly socket?: string
}

export function routerRole(router: string): string {
  return `router-${router}`
}

function daemonsOf(router: Router, kind: RouterKind, folder: string): Daemon[] {
  const role = routerRole(router.name)
  if (kind === 'bird') {
    const path = join(folder, 'bird.conf')
    const files = ['-c', path, '-s', join(folder, 'bird.ctl'), '-P', join(folder, 'bird.pid')]
    return [{ role, command: [birdProgram, '-f', ...files], config: { path, text: birdConfig(router) }, rereads: true }]
  }
  const frr = (name: string, text: string, options: readonly string[] = []): Daemon => {
    const config = `${name}.conf`
    const command = [join(frrFolder, name), '-f', config, '-P', '0', ...options]
    return {
      role: `${role}-${name}`,
      command: inFrrHome(folder, name, command),
      config: { path: join(folder, config), text },
      rereads: false,
    }
  }
  return [
    { ...frr('zebra', zebraConfig(router), ['-K', String(zebraSweepSeconds)]), socket: zebraSocketIn(folder) },
    ...(router.bfd ? [frr('bfdd', zebraConfig(router))] : []),
    frr('bgpd', bgpdConfig(router)),
  ]
}

function labDaemons(spec: LabSpec): { readonly router: Router; readonly daemons: readonly Daemon[] }[] {
  const paths = new LabPaths(spec.name)
  return routersOf(spec).map((router) => ({
    router,
    daemons: daemonsOf(router, spec.racks!.router, paths.router(router.name)),
  }))
}

export function routerRoles(spec: LabSpec): string[] {
  return labDaemons(spec).flatMap(({ daemons }) => daemons.map(({ role }) => role))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether this machine has the daemons of that kind. */
export function hasRouter(kind: RouterKind): boolean {
  return isExecutable(kind === 'bird' ? birdProgram : join(frrFolder, 'bgpd'))
}

/** Whether a dead daemon's routes are still in the kernel. */
function hasRoutesOf(kind: RouterKind, netns: Netns): boolean {
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  return listRoutes(netlink).some(({ protocol }) => protocol === protocols[kind])
}

/**
 * Makes sure that every daemon runs with the configuration that follows from the spec. Returns whether one will first sweep its
 * predecessor's routes, as FRR does.
 */
export function ensureRouters(spec: LabSpec): boolean {
  let willSweep = false
  const paths = new LabPaths(spec.name)
  if (spec.racks?.router === 'frr') ensureFrrFolders()
  const running = new Set(labProcesses(spec.name).map(({ role }) => role))
  for (const { router, daemons } of labDaemons(spec)) {
    using netns = new Netns(netnsPath(router.netns))
    for (const { role, command, config, rereads, socket } of daemons) {
      mkdirSync(dirname(config.path), { recursive: true, mode: 0o700 })
      const isNew = !existsSync(config.path) || readFileSync(config.path, 'utf8') !== config.text
      if (isNew) writeFileSync(config.path, config.text, { mode: 0o600 })
      if (running.has(role)) {
        if (isNew && rereads) signalProcesses(spec.name, (each) => each === role, 'SIGHUP')
        continue
      }
      if (socket !== undefined) rmSync(socket, { force: true })
      const kind = spec.racks!.router
      const isAgain = hasRoutesOf(kind, netns)
      willSweep ||= isAgain && kind === 'frr'
      // with -R, BIRD tells its neighbours that it kept forwarding (RFC 4724); for FRR the configuration says so
      const options = isAgain && kind === 'bird' ? ['-R'] : []
      startProcess({
        lab: spec.name,
        role,
        command: [...command, ...options],
        env: {},
        logFile: paths.log(role),
        netns,
      })
    }
  }
  return willSweep
}
