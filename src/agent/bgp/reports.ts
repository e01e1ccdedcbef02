// What an agent tells of BGP: the answers of /bgp/peers, /bgp/routes and /bgp/advertised.
import { type AdvertisedStatus, type PathStatus, type PeerStatus } from '#/model/bgp.ts'

export type BgpPeersReport = {
  /** Why this node speaks no BGP; then there is nothing else. */
  readonly silentBecause?: string
  readonly asn?: number
  readonly routerId?: string
  readonly role?: string
  /** Whether every neighbour has told all that it has, since the agent started. */
  readonly isReady: boolean
  readonly peers: readonly PeerStatus[]
}

export type BgpRoute = PathStatus & {
  /** Of a path that was chosen: whether the kernel has it, and if not, why. */
  readonly kernel?: { readonly isInstalled: boolean; readonly reason?: string }
}

export type BgpRoutesReport = { readonly silentBecause?: string; readonly routes: readonly BgpRoute[] }

export type BgpAdvertisedReport = { readonly silentBecause?: string; readonly routes: readonly AdvertisedStatus[] }
