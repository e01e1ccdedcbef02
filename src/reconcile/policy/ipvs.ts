// Whether IPVS leads packets to pods in the network namespace of the calling thread. kube-proxy uses it in mode `ipvs`.
import { readFileSync } from 'node:fs'

/** What the file begins with, whether or not there are services. */
const headerLines = 3

/** Says no where the kernel has no IPVS, or nobody has loaded it. */
export function hasIpvsServices(): boolean {
  try {
    return readFileSync('/proc/thread-self/net/ip_vs', 'utf8').trimEnd().split('\n').length > headerLines
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
