// The names of the datapaths of pods: the values of the setting `datapath` and of the column of an endpoint that says which one wired it.

/** The first one is the default. Each has its implementation in a folder of its own in src/datapath. */
export const datapathNames = ['bridge'] as const
export type DatapathName = (typeof datapathNames)[number]

export function isDatapathName(text: string): text is DatapathName {
  return (datapathNames as readonly string[]).includes(text)
}
