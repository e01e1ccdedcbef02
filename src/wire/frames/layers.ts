// How the reader of one header tells what comes behind it. Pure.
import { type LayerName } from './names.ts'

/** What the reader of frames is to know beforehand. */
export type Wishes = {
  /** The UDP port of the tunnel. */
  readonly vxlanPort?: number
}

/** What is behind a header. */
export type Next = {
  readonly layer: LayerName
  /** Where what the header speaks of ends: what is behind that is padding. */
  readonly end?: number
  /** It is the beginning of another packet, of which this one tells. */
  readonly isQuoted?: true
}
