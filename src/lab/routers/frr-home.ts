// The folders of FRR's daemons of one router, and the order of their starts.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** FRR's own folders. Its daemons look for each other in the first, and leave crash logs in the second (lib/zlog.c). */
const runFolder = '/run/frr'
const logFolder = '/var/tmp/frr'
/** The name of the socket on which zebra answers the other daemons. */
const zebraSocket = 'zserv.api'

export function ensureFrrFolders(): void {
  for (const each of [runFolder, logFolder]) mkdirSync(each, { recursive: true })
}

/** The socket of the zebra in `folder`. A killed zebra leaves it behind. */
export function zebraSocketIn(folder: string): string {
  return join(folder, zebraSocket)
}

/**
 * The command that starts a daemon in a router's `folder`, so that paths may be relative to it.
 *
 * FRR's daemons change from root to FRR's own user and no other (lib/privs.c), and that user could not enter the lab's folder. So
 * they run in a mount namespace in which the router's folder is mounted over FRR's. Unmounts in the machine's namespace, such as of
 * a node's network namespace, still propagate to it.
 *
 * All other daemons wait for zebra: a daemon that does not find it tries again only ten seconds later (lib/zclient.c), and a bgpd
 * whose sessions come up before that may never give the kernel the routes that it learned.
 */
export function inFrrHome(folder: string, daemon: string, command: readonly string[]): string[] {
  const script = [
    'mkdir -p "$0/tmp"',
    'chown -R frr:frr "$0"',
    `mount --bind "$0/tmp" ${logFolder}`,
    `mount --bind "$0" ${runFolder}`,
    `cd ${runFolder}`,
    ...(daemon === 'zebra' ? [] : [`until [ -S ${zebraSocket} ]; do sleep 0.02; done`]),
    'exec "$@"',
  ]
  return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script.join(' && '), folder, ...command]
}
