// Two nodes, whichever of them sends. Pure.
import { type PlannedPacket } from './types.ts'

export const pairText = (one: string, other: string): string => [one, other].toSorted().join(' ')

export const pairOf = ({ from, to }: Pick<PlannedPacket, 'from' | 'to'>): string => pairText(from.node, to.node)
