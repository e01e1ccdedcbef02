// One namespace of the facts, ready to be looked up in.
import { type NamespaceFacts } from '#/api/schemas/facts.ts'
import { type AnyRoute } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'
import { Fib } from './fib.ts'
import { addrIn, Indices, routeOf, ruleOf } from './parsed.ts'
import { type WayState } from './way.ts'

export type NamespaceState = WayState & {
  readonly indices: Indices
  readonly rules: readonly Rule[]
  readonly routes: readonly AnyRoute[]
}

/** Throws FactsError where an address or a prefix is none. */
export function stateOf(
  facts: Pick<NamespaceFacts, 'links' | 'addresses' | 'routes' | 'rules' | 'sysctls'>,
): NamespaceState {
  const indices = new Indices(facts.links)
  const rules = facts.rules.map(ruleOf)
  const routes = facts.routes.map((each) => routeOf(each, indices))
  const sysctls = new Map(Object.entries(facts.sysctls))
  return {
    indices,
    rules,
    routes,
    fib: new Fib(rules, routes),
    addresses: facts.addresses.map(({ device, addr, prefixLength }) => ({
      index: indices.of(device),
      addr: addrIn(addr),
      prefixLength,
    })),
    nameOf: (index) => indices.name(index),
    sysctl: (path) => sysctls.get(path),
  }
}
