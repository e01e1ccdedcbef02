// Routes of our own (RFC 4271 section 9.4), as candidates like all others.
import { type OriginatedRoute } from '#/model/bgp.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type Family } from '#/lib/addr.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type LocRib } from './loc-rib.ts'
import { Path } from './path.ts'
import { applyChanges } from './policy.ts'

type Own = { readonly family: Family; readonly nlri: Nlri; readonly path: Path }

export class OwnRoutes {
  readonly #locRib: LocRib
  /** By communities: prefixes with the same ones share a path. */
  #paths = new Map<string, Path>()
  #routes = new Map<string, Own>()

  constructor(locRib: LocRib) {
    this.#locRib = locRib
  }

  /** Makes these the routes of our own; others that were are so no more. */
  set(originated: readonly OriginatedRoute[]): void {
    const paths = new Map<string, Path>()
    const routes = new Map<string, Own>()
    for (const { prefix, communities = [] } of originated) {
      const key = communities.join(' ')
      let path = paths.get(key) ?? this.#paths.get(key)
      path ??= new Path(applyChanges({ origin: 0, asPath: [] }, { addCommunities: communities }, 0))
      paths.set(key, path)
      routes.set(prefix.toString(), { family: prefix.family, nlri: nlriOf(prefix), path })
    }
    for (const [prefix, { family, nlri, path }] of this.#routes) {
      if (!routes.has(prefix)) this.#locRib.replace(family, nlri, path, undefined)
    }
    for (const [prefix, { family, nlri, path }] of routes) {
      const old = this.#routes.get(prefix)?.path
      if (old !== path) this.#locRib.replace(family, nlri, old, path)
    }
    this.#paths = paths
    this.#routes = routes
  }
}
