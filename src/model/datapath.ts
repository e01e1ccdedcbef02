// The datapaths of pods by name: what `datapath` may be set to, and what an endpoint's row says of who wired it.

/** The first is the default. What each of them does is in a folder of its own in src/datapath. */
export const datapathNames = ['bridge'] as const
export type DatapathName = (typeof datapathNames)[number]

export function isDatapathName(text: string): text is DatapathName {
  return (datapathNames as readonly string[]).includes(text)
}
