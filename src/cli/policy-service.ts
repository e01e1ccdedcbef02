// The ends behind a Service: policies see a packet after the Service's address was translated to one of them.
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { endpointSlicesPath, servicePath, servicesPath } from '#/cluster/paths.ts'
import { Addr } from '#/lib/addr.ts'
import { fieldsOf, type KubeObject, listOf } from '#/model/kubernetes.ts'
import { UsageError } from './args.ts'

/** An address that a Service translates to, and the port there. */
export type Backend = { readonly to: string; readonly port?: string }

export type ServiceEnds = { readonly service: string; readonly backends: readonly Backend[] }

type Wish = { readonly port?: string | undefined; readonly protocol?: string | undefined }

const textOf = (value: unknown, otherwise = ''): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise
const section = (object: KubeObject, name: string): Readonly<Record<string, unknown>> =>
  fieldsOf(fieldsOf(object)[name])

/** NAMESPACE/NAME, NAME of one in default, or its address. Undefined: there is none. Rejects with ApiError and ApiUnreachable. */
export async function findService(client: ApiClient, text: string): Promise<KubeObject | undefined> {
  if (Addr.tryParse(text) !== undefined) {
    const { items } = await client.list(servicesPath(), { query: { fieldSelector: `spec.clusterIP=${text}` } })
    return items[0]
  }
  const [namespace, name, ...more] = text.includes('/') ? text.split('/') : ['default', text]
  if (namespace === undefined || name === undefined || more.length > 0) return undefined
  try {
    return await client.get(servicePath(namespace, name))
  } catch (error) {
    if (isApiError(error, 404)) return undefined
    throw error
  }
}

/** The name of the Service's port that is asked about; undefined for one without a name. Throws UsageError when it has no such port. */
function portName(service: KubeObject, title: string, { port, protocol = 'tcp' }: Wish): unknown {
  const ports = listOf(section(service, 'spec')['ports']).map(fieldsOf)
  const found = ports.find(
    (each) => textOf(each['port']) === port && textOf(each['protocol'], 'TCP').toLowerCase() === protocol,
  )
  if (found !== undefined) return found['name']
  const there = ports.map((each) => `${textOf(each['protocol'], 'TCP')} ${textOf(each['port'])}`)
  throw new UsageError(
    `Service ${title} has no port ${protocol.toUpperCase()} ${port}; it has ${there.join(', ') || 'none'}`,
  )
}

/** The ready ends in its EndpointSlices, each with the port there. Throws UsageError for a port that the Service does not have. */
export function backendsOf(service: KubeObject, slices: readonly KubeObject[], wish: Wish): ServiceEnds {
  const title = `${service.metadata.namespace}/${service.metadata.name}`
  const name = wish.port === undefined ? undefined : portName(service, title, wish)
  const backends = slices.flatMap((slice) => {
    const { endpoints, ports } = fieldsOf(slice)
    const port = listOf(ports)
      .map(fieldsOf)
      .find((each) => (each['name'] ?? '') === (name ?? ''))?.['port']
    return listOf(endpoints)
      .map(fieldsOf)
      .filter(({ conditions }) => fieldsOf(conditions)['ready'] !== false)
      .flatMap(({ addresses }) => listOf(addresses).slice(0, 1))
      .flatMap((addr): Backend[] => {
        if (typeof addr !== 'string') return []
        if (wish.port === undefined) return [{ to: addr }]
        return typeof port === 'number' ? [{ to: addr, port: String(port) }] : []
      })
  })
  return { service: title, backends }
}

/** Undefined: `text` is no Service. Throws UsageError for a port that it does not have. Rejects with ApiError and ApiUnreachable. */
export async function serviceEnds(client: ApiClient, text: string, wish: Wish): Promise<ServiceEnds | undefined> {
  const service = await findService(client, text)
  if (service === undefined) return undefined
  const { namespace = 'default', name } = service.metadata
  const labelSelector = `kubernetes.io/service-name=${name}`
  const { items } = await client.list(endpointSlicesPath(namespace), { query: { labelSelector } })
  return backendsOf(service, items, wish)
}
