// For tests: a neighbour that does what the test says, byte by byte, over one connection.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import {
  BgpError,
  type BgpMessage,
  encodeAnnouncements,
  encodeEndOfRib,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  MessageReader,
  nlriOf,
  type Notification,
  notificationText,
  type Open,
} from '#/wire/bgp/index.ts'
import { type WireSettings } from '#/wire/bgp/values.ts'
import { type Connection } from '../contract.ts'

const wire: WireSettings = { fourOctetAsn: true, families: [4, 6], extendedNextHop: true, isInternal: false }

/** An OPEN that all tests' speakers take, with what is different about it. */
export function openMessage(
  changes: Partial<Omit<Open, 'capabilities'>> & { readonly capabilities?: Partial<Open['capabilities']> } = {},
): Open {
  const { asn = 65002, capabilities, ...rest } = changes
  return {
    asn,
    holdTimeSeconds: 90,
    routerId: Addr.parse('10.0.0.2'),
    ...rest,
    capabilities: {
      families: [4],
      routeRefresh: true,
      enhancedRouteRefresh: false,
      asn,
      extendedNextHop: [],
      unknown: [],
      ...capabilities,
    },
  }
}

/** Graceful restart of some families, as it stands in an OPEN. */
export function restartOf(
  families: readonly Family[],
  changes: Partial<NonNullable<Open['capabilities']['gracefulRestart']>> = {},
): NonNullable<Open['capabilities']['gracefulRestart']> {
  return {
    isRestarting: false,
    onNotification: true,
    restartTimeSeconds: 120,
    families: families.map((family) => ({ family, keptForwarding: true })),
    ...changes,
  }
}

export class ScriptedPeer {
  readonly connection: Connection
  readonly messages: BgpMessage[] = []
  isClosed = false
  /** What it got that was no BGP. */
  failure: string | undefined
  readonly #reader = new MessageReader()

  constructor(connection: Connection) {
    this.connection = connection
    connection.handlers = {
      onData: (bytes) => this.#received(bytes),
      onDrain() {},
      onClose: () => {
        this.isClosed = true
      },
    }
  }

  send(bytes: Uint8Array): void {
    this.connection.write(bytes)
  }

  open(changes: Parameters<typeof openMessage>[0] = {}): void {
    this.send(encodeOpen(openMessage(changes)))
  }

  /** UPDATEs with so many prefixes, always the same ones. */
  announce(count: number): void {
    const nlri = Array.from({ length: count }, (_, index) => nlriOf(new Prefix(new Addr(4, BigInt(index) << 8n), 24)))
    const asPath = [{ kind: 'sequence' as const, asns: [65002] }]
    const nextHop = { addr: this.connection.localAddr }
    this.send(encodeAnnouncements({ family: 4, nextHop, attributes: { origin: 0, asPath } }, nlri, wire))
  }

  endOfRib(): void {
    this.send(encodeEndOfRib(4))
  }

  keepalive(): void {
    this.send(encodeKeepalive())
  }

  notify(notification: Notification): void {
    this.send(encodeNotification(notification))
    this.connection.end()
  }

  get kinds(): string[] {
    return this.messages.map(({ kind }) => kind)
  }

  get openReceived(): Open | undefined {
    return this.messages.flatMap((message) => (message.kind === 'open' ? [message.open] : []))[0]
  }

  /** "Code/Subcode" of the notification it got, in words. */
  get notified(): string | undefined {
    return this.messages.flatMap((each) =>
      each.kind === 'notification' ? [notificationText(each.notification)] : [],
    )[0]
  }

  #received(bytes: Uint8Array): void {
    this.#reader.push(bytes)
    try {
      for (let next = this.#reader.next(wire); next !== undefined; next = this.#reader.next(wire))
        this.messages.push(next)
    } catch (error) {
      if (!(error instanceof BgpError)) throw error
      this.failure = error.message
    }
  }
}
