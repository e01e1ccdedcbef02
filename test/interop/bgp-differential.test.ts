// The same random updates into our speaker, BIRD, FRR and GoBGP at once: after each round all four have to prefer the same paths, and
// to tell the same of them to an external and an internal observer. Where they differ by design the comparison says so.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { established, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { type Host, Lan } from './bgp/lan.ts'
import { attributes, type RawPath, update } from './bgp/raw-messages.ts'
import { RawHost, type RawPeer } from './bgp/raw-peer.ts'
import { type Router, type RouterKind } from './bgp/router.ts'

const asn = 65_000
const families = [4] as const
const kinds: readonly RouterKind[] = ['causeway', 'bird', 'frr', 'gobgp']
const rounds = 6
const updatesPerRound = 120
const prefixCount = 40

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Injector = { readonly host: Host; readonly asn: number; readonly sessions: Map<RouterKind, RawPeer> }

/** One update of an injector: it withdraws a prefix, or announces it with attributes that matter to the decision. */
function randomUpdate(
  { host, asn: own }: Injector,
  random: (below: number) => number,
): { bytes: Buffer; withdrawal: Buffer } {
  const prefix = `10.200.${random(prefixCount)}.0/24`
  const withdrawal = update({ withdrawn: [prefix] })
  if (random(5) === 0) return { bytes: withdrawal, withdrawal }
  const tail = Array.from({ length: random(3) }, () => 64_600 + random(3))
  // now and then our own AS: a loop
  const path = [own, ...tail, ...(random(12) === 0 ? [asn] : [])]
  const communities = ['65001:1', '65001:2', noExport].filter(() => random(6) === 0)
  const bytes = update({
    attributes: [
      attributes.origin(random(3)),
      attributes.asPath(path),
      attributes.nextHop(host.addr4),
      ...(random(3) > 0 ? [attributes.med(random(3))] : []),
      ...(communities.length > 0 ? [attributes.communities(communities)] : []),
    ],
    announced: [prefix],
  })
  return { bytes, withdrawal }
}

type Observed = Pick<RawPath, 'asPath' | 'origin' | 'communities'> & { readonly localPreference?: number }

const noExport = '65535:65281'

/**
 * What is compared of a route that was advertised: its next hop may be the router or, on one subnet, the one it came from. GoBGP tells
 * external neighbours of routes with NO_EXPORT.
 */
function observedOf(
  rib: ReadonlyMap<string, RawPath>,
  isInternal: boolean,
  kind: RouterKind,
): Record<string, Observed> {
  const own = [...rib].filter(
    ([prefix, { communities }]) =>
      prefix.startsWith('10.200.') && (kind !== 'gobgp' || isInternal || !communities.includes(noExport)),
  )
  return Object.fromEntries(
    own
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([prefix, { asPath, origin, communities, localPreference }]) => [
        prefix,
        { asPath, origin, communities, ...(isInternal && localPreference !== undefined && { localPreference }) },
      ]),
  )
}

async function bestOf(router: Router): Promise<Record<string, string>> {
  const best = (await router.routes(4)).filter(({ isBest, prefix }) => isBest && prefix.startsWith('10.200.'))
  return Object.fromEntries(
    best
      .sort((a, b) => a.prefix.localeCompare(b.prefix))
      .map(({ prefix, from, asPath }) => [prefix, `${asPath} from ${from}`]),
  )
}

class Field implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly routers: Router[] = []
  readonly injectors: Injector[] = []
  /** What each router tells: by kind, to an external and to an internal neighbour. */
  readonly external = new Map<RouterKind, RawPeer>()
  readonly internal = new Map<RouterKind, RawPeer>()

  static async start(asns: readonly number[]): Promise<Field> {
    const field = new Field()
    try {
      await field.#start(asns)
    } catch (error) {
      await field[Symbol.asyncDispose]()
      throw error
    }
    return field
  }

  async #start(asns: readonly number[]): Promise<void> {
    const lan = this.#stack.use(new Lan())
    const routerHosts = kinds.map(() => lan.host())
    const peers = [...asns, 65_009, asn].map((peerAsn, index) => ({
      host: lan.host(),
      asn: peerAsn,
      name: `peer${index}`,
    }))
    const neighbours = peers.map(({ host, asn: peerAsn, name }) => ({
      name,
      addr: host.addr4,
      asn: peerAsn,
      families,
      mode: 'passive' as const,
    }))
    for (const [index, kind] of kinds.entries())
      this.routers.push(this.#stack.use(routerOf(kind, routerHosts[index]!, { asn, maxPaths: 1, neighbours })))
    await Promise.all(this.routers.map((router) => router.start()))
    for (const [index, peer] of peers.entries()) {
      const raw = this.#stack.use(await RawHost.start(peer.host))
      const sessions = new Map<RouterKind, RawPeer>()
      for (const router of this.routers)
        sessions.set(router.kind, await raw.session(router.host.addr4, { asn: peer.asn, routerId: peer.host.addr4 }))
      if (index < asns.length) this.injectors.push({ host: peer.host, asn: peer.asn, sessions })
      else for (const [kind, session] of sessions) (peer.asn === asn ? this.internal : this.external).set(kind, session)
    }
    for (const router of this.routers) await established(router)
  }

  /** Sends the same to all routers; what it ends with shows when they have taken it all. */
  async round(number: number, random: (below: number) => number): Promise<void> {
    for (let count = 0; count < updatesPerRound; count++) {
      const injector = this.injectors[random(this.injectors.length)]!
      const { bytes, withdrawal } = randomUpdate(injector, random)
      // GoBGP refuses a path with its own AS in it, and then keeps the one that it replaces
      for (const [kind, session] of injector.sessions) session.send(...(kind === 'gobgp' ? [withdrawal] : []), bytes)
    }
    for (const [index, { host, asn: own, sessions }] of this.injectors.entries()) {
      const path = [attributes.origin(0), attributes.asPath([own, 64_000 + number]), attributes.nextHop(host.addr4)]
      for (const session of sessions.values())
        session.send(update({ attributes: path, announced: [`10.201.${index}.0/24`] }))
    }
    for (const observers of [this.external, this.internal]) {
      for (const [kind, observer] of observers) {
        await eventually(
          `round ${number} at an observer of ${kind}`,
          () => this.injectors.map((_, index) => observer.rib.get(`10.201.${index}.0/24`)?.asPath ?? ''),
          (paths) => paths.every((path) => path.endsWith(String(64_000 + number))),
          { explain: () => observer.story() },
        )
      }
    }
  }

  async compare(number: number): Promise<void> {
    const wanted = await bestOf(this.routers[1]!)
    assert.ok(Object.keys(wanted).length > prefixCount / 2)
    for (const router of this.routers) {
      // FRR and GoBGP may tell of the last update before they have told of those before it
      await eventually(
        `best paths of ${router.kind} like BIRD's in round ${number}`,
        () => bestOf(router),
        (best) => JSON.stringify(best) === JSON.stringify(wanted),
        { timeoutMs: 30_000 },
      ).catch(async () => assert.deepEqual(await bestOf(router), wanted, `${router.kind}, round ${number}`))
    }
    for (const [observers, isInternal] of [
      [this.external, false],
      [this.internal, true],
    ] as const) {
      const of = (kind: RouterKind): Record<string, Observed> => observedOf(observers.get(kind)!.rib, isInternal, kind)
      for (const kind of kinds) {
        await eventually(
          `advertisements of ${kind}`,
          () => JSON.stringify(of(kind)) === JSON.stringify(of('bird')),
          (isSame) => isSame,
          { timeoutMs: 30_000 },
        ).catch(() =>
          assert.deepEqual(of(kind), of('bird'), `${kind}, ${isInternal ? 'internal' : 'external'}, round ${number}`),
        )
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]()
  }
}

const cases = [
  // MEDs of different ASes are not compared: any order of comparing gives the same
  { title: 'three neighbours of three ASes', asns: [65_001, 65_002, 65_003], seed: 1 },
  { title: 'two neighbours of one AS, whose MEDs count', asns: [65_001, 65_001], seed: 2 },
] as const

suite('differential', () => {
  for (const { title, asns, seed } of cases) {
    test(`${title}, seed ${seed}: the same best paths and advertisements`, async () => {
      await using field = await Field.start(asns)
      const random = randomOf(seed)
      for (let number = 1; number <= rounds; number++) {
        await field.round(number, random)
        await field.compare(number)
      }
    })
  }
})
