// The schemas of the IPAM operations: which pod holds which address of a node, where the node's store and kernel disagree, and the
// release of an address by hand.
import { array, boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { Addr } from '#/lib/addr.ts'
import { about, type ValueOf } from '../value.ts'
import { problem } from './problem.ts'

const addressRow = object({
  addr: string(),
  state: picklist(['in use', 'being set up', 'cooling down', 'leaked']),
  pod: about(string(), 'who has it, or had it last'),
  cidr: exactOptional(about(string(), 'absent while it cools down, as are the four below')),
  containerId: exactOptional(string()),
  ifName: exactOptional(string()),
  netns: exactOptional(string()),
  since: exactOptional(about(string(), 'when it was given, ISO 8601')),
  why: exactOptional(about(string(), 'what the rest does not tell')),
})

const cidrRow = object({
  cidr: string(),
  total: about(string(), 'counts are texts: an IPv6 CIDR has more addresses than a JSON number can tell'),
  used: string(),
  coolingDown: string(),
  free: string(),
})

export const ipamReport = object({
  cidrs: array(cidrRow),
  addresses: array(addressRow),
  leaksReleased: about(
    number(),
    'how many endpoints the agent released by itself since it started, because nobody else would have',
  ),
})

export const ipamFindings = object({
  endpoints: about(number(), 'how many were looked at'),
  findings: about(array(problem), 'where store and kernel disagree'),
})

export const releaseRequest = object({
  addr: about(
    pipe(
      string(),
      check((text) => Addr.tryParse(text) !== undefined, 'is no IP address'),
    ),
    'the address to release',
  ),
  force: exactOptional(about(boolean(), "also while the pod's namespace lives, which then has no network")),
})

export const releaseReport = object({
  pod: string(),
  addrs: about(array(string()), 'all addresses of the pod'),
  message: about(string(), 'why it could be released, and what becomes of it'),
})

export type AddressRow = ValueOf<typeof addressRow>
export type CidrRow = ValueOf<typeof cidrRow>
export type IpamReport = ValueOf<typeof ipamReport>
export type IpamFindings = ValueOf<typeof ipamFindings>
export type ReleaseRequest = ValueOf<typeof releaseRequest>
export type ReleaseReport = ValueOf<typeof releaseReport>
