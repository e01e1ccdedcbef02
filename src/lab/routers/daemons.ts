// The routing daemons of a lab's routers: which processes there are, with which files, and how they are started. What a daemon
// keeps (configuration, sockets, pid files that nobody here reads) is in the lab's own folder.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
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

const birdProgram = '/usr/sbin/bird'
const frrFolder = '/usr/lib/frr'
/** RTPROT_BIRD and RTPROT_BGP of include/uapi/linux/rtnetlink.h. */
const protocols: Readonly<Record<RouterKind, number>> = { bird: 12, frr: 186 }
/** How long zebra leaves routes of its predecessor in the kernel. */
const zebraSweepSeconds = 60

/** FRR's own folders. Its daemons look there for one another, and leave crash logs in the second (lib/zlog.c). */
const frrRunFolder = '/run/frr'
const frrLogFolder = '/var/tmp/frr'

/**
 * FRR's daemons give up root, and for no other user than its own (lib/privs.c), which could not enter the lab's folder. So in a
 * mount namespace the router's folder stands in the place of FRR's; unmounts of the machine, such as of a node's network
 * namespace, still reach it.
 */
function frrHome(folder: string): string[] {
  const script = [
    'mkdir -p "$0/tmp"',
    'chown -R frr:frr "$0"',
    `mount --bind "$0/tmp" ${frrLogFolder}`,
    `mount --bind "$0" ${frrRunFolder}`,
    'exec "$@"',
  ]
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script.join(' && '), folder]
}

type Daemon = {
  readonly role: string
  readonly command: readonly string[]
  readonly config: { readonly path: string; readonly text: string }
  /** Whether it reads its configuration again at SIGHUP. */
  readonly rereads: boolean
}

export function routerRole(router: string): string {
  return `router-${router}`
}

/** In the order in which they are started: bgpd waits for nobody, but finds zebra at once when that is there. */
function daemonsOf(router: Router, kind: RouterKind, folder: string): Daemon[] {
  const role = routerRole(router.name)
  if (kind === 'bird') {
    const path = join(folder, 'bird.conf')
    const files = ['-c', path, '-s', join(folder, 'bird.ctl'), '-P', join(folder, 'bird.pid')]
    return [{ role, command: [birdProgram, '-f', ...files], config: { path, text: birdConfig(router) }, rereads: true }]
  }
  const frr = (name: string, text: string, options: readonly string[] = []): Daemon => ({
    role: `${role}-${name}`,
    command: [
      ...frrHome(folder),
      join(frrFolder, name),
      '-f',
      join(frrRunFolder, `${name}.conf`),
      '-P',
      '0',
      ...options,
    ],
    config: { path: join(folder, `${name}.conf`), text },
    rereads: false,
  })
  return [
    frr('zebra', zebraConfig(router), ['-K', String(zebraSweepSeconds)]),
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

/** Whether a daemon that died left its routes in the kernel. */
function hasRoutesOf(kind: RouterKind, netns: Netns): boolean {
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  return listRoutes(netlink).some(({ protocol }) => protocol === protocols[kind])
}

/**
 * Every daemon runs, with the configuration that follows from the spec. Returns whether one will first sweep the routes that its
 * predecessor left: FRR does.
 */
export function ensureRouters(spec: LabSpec): boolean {
  let willSweep = false
  const paths = new LabPaths(spec.name)
  if (spec.racks?.router === 'frr')
    for (const each of [frrRunFolder, frrLogFolder]) mkdirSync(each, { recursive: true })
  const running = new Set(labProcesses(spec.name).map(({ role }) => role))
  for (const { router, daemons } of labDaemons(spec)) {
    using netns = new Netns(netnsPath(router.netns))
    for (const { role, command, config, rereads } of daemons) {
      mkdirSync(dirname(config.path), { recursive: true, mode: 0o700 })
      const isNew = !existsSync(config.path) || readFileSync(config.path, 'utf8') !== config.text
      if (isNew) writeFileSync(config.path, config.text, { mode: 0o600 })
      if (running.has(role)) {
        if (isNew && rereads) signalProcesses(spec.name, (each) => each === role, 'SIGHUP')
        continue
      }
      const kind = spec.racks!.router
      const isAgain = hasRoutesOf(kind, netns)
      willSweep ||= isAgain && kind === 'frr'
      // then BIRD tells its neighbours that it goes on forwarding (RFC 4724); FRR is configured to
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
