// Runs the tools of others (ip, nft, tc …) in a namespace of the lab.
import { spawnSync } from 'node:child_process'
import { errorCode } from '#/lib/error-code.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { LabError, netnsPrefix } from '../spec.ts'
import { commandText } from './fault.ts'

/** The Debian packages of the tools, for those that are missing. */
const packages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  'iptables-legacy': 'iptables',
  'ip6tables-legacy': 'iptables',
  ethtool: 'ethtool',
}

/** The longest of them calls a plugin some hundred times. */
const timeoutMs = 60_000

export type Outcome = { readonly isDone: boolean; readonly stdout: string; readonly stderr: string }

/** Throws LabError for a namespace that is not the lab's: a fault never touches anything else. */
export function ofLab(lab: string, netns: string): Netns {
  if (!netns.startsWith(netnsPrefix(lab)) || netns.includes('/'))
    throw new LabError(`${netns} is no namespace of lab "${lab}"`)
  return new Netns(netnsPath(netns))
}

/** Whether the namespace is there. */
export function isThere(lab: string, netns: string): boolean {
  try {
    ofLab(lab, netns)[Symbol.dispose]()
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Runs a command to its end. Throws LabError when the tool is missing, ENOENT when the namespace is. */
export function execute(lab: string, netns: string, words: readonly string[]): Outcome {
  using inside = ofLab(lab, netns)
  const [tool = '', ...args] = words
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' }
  // a child starts in the namespace of the thread that forks it
  const { error, status, stdout, stderr } = inside.run(() =>
    spawnSync(tool, args, { encoding: 'utf8', env, timeout: timeoutMs }),
  )
  if (error !== undefined && errorCode(error) === 'ENOENT') {
    const name = packages[tool]
    throw new LabError(`${tool} is missing${name === undefined ? '' : `: apt-get install ${name}`}`)
  }
  if (error !== undefined) throw new LabError(`${netns}: ${commandText(words)}: ${error.message}`)
  return { isDone: status === 0, stdout, stderr: stderr.trim() || stdout.trim() }
}

/** What the tools say when what they are to delete is not there, or the device that it was on; and when what they are to restore is back. */
const gone = [
  /^RTNETLINK answers: File exists/m,
  /^Error: ipv[46]: [Aa]ddress already assigned/m,
  // ip
  /^Cannot find device/m,
  /^RTNETLINK answers: No such (process|file or directory|device)/m,
  /^Error: (FIB table does not exist|ipv[46]: (Address|address) not found|ipv[46]: FIB table does not exist)/m,
  // nft
  /No such file or directory/,
  // iptables
  /does a matching rule exist in that chain/,
  // tc
  /^Error: (Filter with specified|Cannot find specified|Parent Qdisc|Specified (filter|class|chain))/m,
  // ethtool
  /No such device/,
]

/** Whether an undo failed because there was nothing to take back any more. */
export function isGone(stderr: string): boolean {
  return gone.some((pattern) => pattern.test(stderr))
}
