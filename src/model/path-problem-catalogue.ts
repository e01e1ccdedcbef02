// The problems of ways between nodes (81xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

export const pathProblemCatalogue = {
  CW8103: {
    title: 'Checksums of TCP and UDP are wrong where packets arrive',
    about: 'kernel',
    how: 'the reason for which the receiving kernel dropped a packet that was followed, or its count of wrong checksums (InCsumErrors), which grows while packets are followed',
    remedy:
      'have the sending node compute checksums itself: ethtool -K DEVICE tx off, of its underlay device; if that mends it, keep it so where devices are configured, and look for a newer driver or firmware of the card',
  },
  CW8105: {
    title: 'A neighbour entry has a wrong MAC',
    about: 'kernel',
    how: 'the neighbour entry of one node for an address of another, compared with the MAC that the other node has on the device with this address',
    remedy:
      'find who set the entry (a permanent one is configured: ip neigh show nud permanent) and take it out there: ip neigh del ADDRESS dev DEVICE; if it is learned, two machines answer for one address',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
