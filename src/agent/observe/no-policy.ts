// What an observer says of network policy: on a node with another network somebody else enforces it, whose rules are followed as any firewall's.
import { type PolicyIndex } from '#/policy/index/policy-index.ts'
import { type PolicySources } from '../report/policy-sources.ts'

const why = 'an observer enforces no policy'

export function noPolicy(nodeName: string, view: PolicyIndex): PolicySources {
  return {
    nodeName,
    view,
    form: () => view.form,
    readings: () => new Map(),
    state: () => ({ kind: 'off', sinceMs: 0 }),
    untold: () => why,
    counters: () => Promise.reject(new Error(why)),
    podInKernel: () => Promise.reject(new Error(why)),
  }
}
