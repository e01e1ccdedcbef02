// The datapaths of pods by name: what an endpoint's row says of the datapath that wired it. There is no setting as long as there is one.

/** The first is the default. What each of them does is in a folder of its own in src/datapath. */
export const datapathNames = ['bridge'] as const
export type DatapathName = (typeof datapathNames)[number]

export function isDatapathName(text: string): text is DatapathName {
  return (datapathNames as readonly string[]).includes(text)
}
