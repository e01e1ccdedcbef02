// The schemas of the search for pods of the cluster by their names.
import { array, check, exactOptional, number, object, pipe, string } from 'valibot'
import { about, type ValueOf } from '../value.ts'

export const podsRequest = object({
  q: exactOptional(
    about(
      pipe(
        string(),
        check((text) => text.length <= 320, 'is longer than any name'),
      ),
      'what NAMESPACE/NAME is to hold, whatever its case; absent: any',
    ),
  ),
})

const foundPod = object({
  pod: about(string(), 'NAMESPACE/NAME'),
  node: string(),
  addrs: array(string()),
})

export const podsReport = object({
  node: about(string(), 'which answers'),
  pods: about(array(foundPod), 'at most 50, those whose name begins with it first, then sorted'),
  more: about(number(), 'how many others there are'),
})

export type PodsRequest = ValueOf<typeof podsRequest>
export type PodsReport = ValueOf<typeof podsReport>
export type FoundPod = PodsReport['pods'][number]
