import { type Scenario } from '../model.ts'
import { blocks } from './blocks.ts'
import { changes } from './changes.ts'
import { cluster } from './cluster.ts'
import { isolation } from './isolation.ts'
import { peers } from './peers.ts'
import { ports } from './ports.ts'

export const scenarios: readonly Scenario[] = [...isolation, ...peers, ...blocks, ...ports, ...changes, ...cluster]
