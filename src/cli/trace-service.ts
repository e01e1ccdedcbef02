// The address of a Service that a trace goes to by its name: the nodes translate it, as for any program.
import { type ApiClient } from '#/cluster/client.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { fieldsOf, listOf } from '#/model/kubernetes.ts'
import { UsageError } from './args.ts'
import { findService } from './policy-service.ts'

/** Undefined: there is no Service of that name. Rejects with UsageError for one that has no address, and with ApiError and ApiUnreachable. */
export async function serviceAddr(
  client: ApiClient,
  name: string,
  family: Family | undefined,
): Promise<string | undefined> {
  const service = await findService(client, name)
  if (service === undefined) return undefined
  const { clusterIP, clusterIPs } = fieldsOf(fieldsOf(service)['spec'])
  const addrs = [...listOf(clusterIPs), clusterIP].flatMap((each) => {
    const addr = typeof each === 'string' ? Addr.tryParse(each) : undefined
    return addr ? [addr] : []
  })
  const found = addrs.find((each) => family === undefined || each.family === family)
  if (found === undefined)
    throw new UsageError(
      `Service ${name} has no address${family === undefined || addrs.length === 0 ? ', as a headless one: trace to one of its pods' : ` of IPv${family}`}`,
    )
  return String(found)
}
