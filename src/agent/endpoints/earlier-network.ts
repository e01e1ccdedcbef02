// Finds the endpoints of an earlier network of this node. A node that is a container (kind, LXC) and is started anew has another network
// namespace, and all its pods are gone, though the machine has not booted. What an endpoint's row says of the boot stays as it was, so
// that an older agent reads it rightly.
import { type BootClock } from '#/sys/boot-clock.ts'
import { type Endpoint, type EndpointStore } from './endpoint-store.ts'
import { StateError } from './state-file.ts'

const settingName = 'network'

export type EarlierNetwork = {
  /** Whether the endpoint was made in an earlier network. Whether it is gone must be looked for all the same. */
  readonly has: (endpoint: Endpoint) => boolean
}

/**
 * To be called once, when the agent starts. `cookie` names the network namespace of this process, '' where the kernel cannot say. The
 * setting is written after the endpoints are read: an agent that is killed in between finds them again.
 */
export function earlierNetwork(store: EndpointStore, clock: Pick<BootClock, 'bootId'>, cookie: string): EarlierNetwork {
  const now = JSON.stringify([clock.bootId, cookie])
  const before = store.setting(settingName)
  const [bootId, earlierCookie] = before === undefined ? [] : networkIn(before)
  const isOther = cookie !== '' && bootId === clock.bootId && earlierCookie !== cookie
  const made = new Set(isOther ? store.list().map(keyOf) : [])
  try {
    if (cookie !== '' && before !== now) store.setSetting(settingName, now)
  } catch (error) {
    // the store reports this problem itself; without the setting nothing is released early
    if (!(error instanceof StateError)) throw error
  }
  return { has: (endpoint) => made.has(keyOf(endpoint)) }
}

/** The boot's id and the cookie in the setting; nothing where it is damaged, and then nothing is released early. */
function networkIn(text: string): readonly unknown[] {
  try {
    const network: unknown = JSON.parse(text)
    return Array.isArray(network) ? network : []
  } catch {
    return []
  }
}

function keyOf({ containerId, ifName, createdMs }: Endpoint): string {
  return `${containerId}:${ifName}:${createdMs}`
}
