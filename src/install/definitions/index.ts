// The definitions of Causeway's own kinds, in the order in which they are applied.
import { type Manifest } from '../settings.ts'
import { nodeDefinition } from './node-kind.ts'
import { peerDefinition } from './peer-kind.ts'
import { configurationDefinition, routingDefinition } from './settings-kinds.ts'

export const definitions: readonly Manifest[] = [
  routingDefinition,
  configurationDefinition,
  peerDefinition,
  nodeDefinition,
]
