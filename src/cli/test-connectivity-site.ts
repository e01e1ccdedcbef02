// What a connectivity test makes in the API, and what it waits for until there is something to send between.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { isApiError } from '#/cluster/errors.ts'
import {
  endpointSlicesPath,
  eventsPath,
  networkPoliciesPath,
  podsPath,
  servicePath,
  servicesIn,
} from '#/cluster/paths.ts'
import { podObjects, policyObject, roleOf, serviceNames, serviceObjects } from '#/connectivity/objects.ts'
import { type EventObject, isHopeless, isReady, whyNotReady } from '#/connectivity/pod-state.ts'
import { type Fault, type TestNode, type TestPod, type TestService, type Unread } from '#/connectivity/types.ts'
import { fieldsOf, type KubeObject, listOf, nodeNameOf, type Pod, podAddressesOf, textOf } from '#/model/kubernetes.ts'
import { isPassing, persist, refused } from './test-connectivity-namespace.ts'

const atOnce = 8
const pollMs = 250
/** After the last pod became ready, so long the others are waited for where something is known to be in their way. */
const stragglerMs = 15_000
const accountMs = 15_000

/** A new namespace has its service account, which every pod needs, only after a moment. */
async function create(client: ApiClient, path: string, object: KubeObject, signal: AbortSignal): Promise<KubeObject> {
  const name = `${(object.kind ?? '').toLowerCase()}/${object.metadata.name}`
  const endMs = performance.now() + accountMs
  for (let isUnknown = false; ;) {
    try {
      return await client.create(path, object, { signal })
    } catch (error) {
      signal.throwIfAborted()
      // it was made, and nobody said so
      if (isUnknown && isApiError(error, 409))
        return await persist(async () => client.get(`${path}/${object.metadata.name}`, { signal }), { signal })
      isUnknown ||= isPassing(error)
      const isEarly = isApiError(error, 403) && /service ?account/i.test(error.detail) && /not found/.test(error.detail)
      if (!(isEarly || isPassing(error)) || performance.now() > endMs)
        throw refused(`${name} cannot be made in namespace/${object.metadata.namespace ?? ''}`, error)
      await sleep(pollMs)
    }
  }
}

/** A Service as the API has it. */
function serviceOf({ metadata: { namespace = '', name }, ...rest }: KubeObject): TestService {
  const spec = fieldsOf(fieldsOf(rest)['spec'])
  const ports = listOf(spec['ports']).map(fieldsOf)
  const portWith = (protocol: string, number?: unknown) =>
    ports.find((each) => (each['protocol'] ?? 'TCP') === protocol && (number === undefined || each['port'] === number))
  const udpPort = portWith('UDP')?.['port']
  // of several, such as one for metrics, the one that is served by both
  const port = portWith('TCP', udpPort)
  const several = listOf(spec['clusterIPs'])
  const addrs = (several.length > 0 ? several : [spec['clusterIP']])
    .map(textOf)
    .filter((each) => each !== '' && each !== 'None')
  const [number, nodePort] = [port?.['port'], port?.['nodePort']]
  return {
    name: `${namespace}/${name}`,
    addrs,
    ...(typeof number === 'number' && { port: number }),
    ...(typeof udpPort === 'number' && { udpPort }),
    ...(typeof nodePort === 'number' && nodePort > 0 && { nodePort }),
  }
}

/** The nodes of the pods behind a Service; undefined where that may not be read. */
async function backendNodes(client: ApiClient, namespace: string, name: string): Promise<string[] | undefined> {
  const labelSelector = `kubernetes.io/service-name=${name}`
  try {
    const { items } = await client.list(endpointSlicesPath(namespace), { labelSelector })
    const endpoints = items.flatMap((slice) => listOf(fieldsOf(slice)['endpoints'])).map(fieldsOf)
    return [...new Set(endpoints.map((each) => textOf(each['nodeName'])).filter((node) => node !== ''))]
  } catch {
    return undefined
  }
}

/** A Service of the cluster's own; undefined where there is none. */
export async function clusterService(
  client: ApiClient,
  namespace: string,
  name: string,
): Promise<TestService | Unread | undefined> {
  try {
    const service = serviceOf(await client.get(servicePath(namespace, name)))
    const nodes = await backendNodes(client, namespace, name)
    return { ...service, ...(nodes && { backendNodes: nodes }) }
  } catch (error) {
    if (isApiError(error, 404)) return undefined
    return { whyUnread: refused(`the Service ${namespace}/${name} cannot be read`, error).message }
  }
}

export type Wanted = {
  readonly namespace: string
  readonly nodes: readonly TestNode[]
  readonly image: string
  readonly hasServices: boolean
  readonly hasPolicy: boolean
}

export type Made = { readonly service?: TestService; readonly hairpin?: TestService }

/** Makes all objects. Policies come before the pods that they select. */
export async function makeObjects(client: ApiClient, wanted: Wanted, signal: AbortSignal): Promise<Made> {
  const { namespace, nodes, image, hasServices, hasPolicy } = wanted
  if (hasPolicy) await create(client, networkPoliciesPath(namespace), policyObject(namespace), signal)
  const services: TestService[] = []
  for (const object of hasServices ? serviceObjects(namespace) : [])
    services.push(serviceOf(await create(client, servicesIn(namespace), object, signal)))
  await eachOf(podObjects(namespace, nodes, image), atOnce, async (pod) =>
    create(client, podsPath(namespace), pod, signal),
  )
  const named = (name: string): TestService | undefined => services.find((each) => each.name === `${namespace}/${name}`)
  const [service, hairpin] = [named(serviceNames.all), named(serviceNames.hairpin)]
  return { ...(service && { service }), ...(hairpin && { hairpin }) }
}

export type Started = { readonly pods: readonly TestPod[]; readonly faults: readonly Fault[]; readonly wanted: number }

function testPod(pod: Pod): TestPod[] {
  const { namespace = '', name } = pod.metadata
  const role = roleOf(name)
  const addrs = podAddressesOf(pod).addrs.map(String)
  return role === undefined ? [] : [{ name: `${namespace}/${name}`, node: nodeNameOf(pod), role, addrs }]
}

async function eventsIn(client: ApiClient, namespace: string): Promise<readonly EventObject[]> {
  try {
    return (await client.list<EventObject>(eventsPath(namespace))).items
  } catch {
    // who may not list them sees what the pod itself says
    return []
  }
}

/** Waits until pods are ready, or nothing is to be expected of the others. `tell` hears how many are. */
export async function awaitPods(
  client: ApiClient,
  { namespace, timeoutMs, tell }: { namespace: string; timeoutMs: number; tell: (ready: number, all: number) => void },
  signal: AbortSignal,
): Promise<Started> {
  const startMs = performance.now()
  let [lastMs, seen] = [startMs, 0]
  for (;;) {
    signal.throwIfAborted()
    const { items } = await persist(async () => client.list<Pod>(podsPath(namespace), { signal }), { signal })
    const ready = items.filter(isReady)
    const nowMs = performance.now()
    if (ready.length > seen) [lastMs, seen] = [nowMs, ready.length]
    tell(ready.length, items.length)
    const open = items.filter((pod) => !isReady(pod) && !isHopeless(pod))
    const isLate = nowMs - startMs > timeoutMs || (seen > 0 && nowMs - lastMs > Math.min(stragglerMs, timeoutMs))
    if (open.length === 0 || isLate) {
      const events = ready.length === items.length ? [] : await eventsIn(client, namespace)
      const faults = items
        .filter((pod) => !isReady(pod))
        .map((pod): Fault => {
          const { isOfImage, ...why } = whyNotReady(pod, events)
          const node = nodeNameOf(pod)
          const subject = `pod ${namespace}/${pod.metadata.name} on ${node}`
          return { subject, ...(isOfImage !== true && { node }), ...why }
        })
      return { pods: ready.flatMap(testPod), faults, wanted: items.length }
    }
    await sleep(pollMs)
  }
}
