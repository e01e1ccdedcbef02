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
 * The command of a daemon in a router's `folder`, which is where it starts, so that paths may be relative to it.
 *
 * FRR's daemons give up root, and for no other user than its own (lib/privs.c), which could not enter the lab's folder. So in a
 * mount namespace the router's folder stands in the place of FRR's; unmounts of the machine, such as of a node's network
 * namespace, still reach it.
 *
 * Whoever is not zebra waits for it: a daemon that finds none looks again ten seconds later (lib/zclient.c), and a bgpd whose
 * sessions come up before that may never give the kernel what they told.
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
