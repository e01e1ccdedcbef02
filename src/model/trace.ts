// The words in which all parts speak of a traced packet. Pure.
export * from '#/wire/bpf/trace-words.ts'

/** What a step of a prediction is about. */
export const stepKinds = [
  'route',
  'neighbour',
  'fdb',
  'bridge',
  'policy',
  'nftables',
  'service',
  'program',
  'mtu',
  'tunnel',
  'deliver',
] as const
export type StepKind = (typeof stepKinds)[number]
