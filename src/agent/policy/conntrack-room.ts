// Whether connection tracking has room for more. Without it the kernel drops each packet that would open a connection, whatever policies say.
import { type Problem, problem } from '#/model/problems.ts'
import { readSysctl } from '#/sys/sysctl.ts'

const folder = 'net/netfilter'
/** From this part of the room on it may be used up at any moment. */
const fullFrom = 0.95

/** The problem, while there is hardly any room. */
export function conntrackProblem(nodeName: string, read: typeof readSysctl = readSysctl): Problem | undefined {
  const [count, max] = ['nf_conntrack_count', 'nf_conntrack_max'].map((name) => Number(read(`${folder}/${name}`)))
  // NaN where the kernel does not tell
  if (count === undefined || max === undefined || !(max > 0 && count >= max * fullFrom)) return undefined
  return problem('CW3304', `node/${nodeName}`, `${count} of ${max} entries are in use`)
}
