// Whether IPVS leads packets to pods in the network namespace of the calling thread. kube-proxy uses it in mode `ipvs`.
import { closeSync, openSync, readSync } from 'node:fs'

/** What the file begins with, whether or not there are services. */
const headerLines = 3
/** The file has a line for each service and each of its pods, so that only its beginning is read. */
const beginningBytes = 1024

/** Says no where the kernel has no IPVS, or nobody has loaded it. */
export function hasIpvsServices(): boolean {
  let fd
  try {
    fd = openSync('/proc/thread-self/net/ip_vs', 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  try {
    const buffer = Buffer.alloc(beginningBytes)
    const text = buffer.toString('utf8', 0, readSync(fd, buffer))
    return text.trimEnd().split('\n').length > headerLines
  } finally {
    closeSync(fd)
  }
}
