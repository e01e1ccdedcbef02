import { type Problem } from '#/model/problems.ts'

/** Something of others that is in the way of pods' packets. `cutsPodsOff`: pods of this node cannot reach other pods because of it. */
export type Blockade = { readonly problem: Problem; readonly cutsPodsOff: boolean }
