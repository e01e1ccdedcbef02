// The address of a Service that a trace goes to by its name: the nodes translate it, as for any program.
import { connect } from '#/cluster/connect.ts'
import { describe } from '#/cluster/errors.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { fieldsOf, listOf } from '#/model/kubernetes.ts'
import { type ServiceApi } from './access/service-api.ts'
import { UsageError } from './args.ts'
import { complain } from './output.ts'
import { findService } from './policy-service.ts'

/** Undefined: nobody can be asked, or there is no Service of that name. Throws UsageError for one that has no address. */
export async function serviceAddr(
  api: ServiceApi | undefined,
  name: string,
  family: Family | undefined,
): Promise<string | undefined> {
  if (api === undefined) return undefined
  try {
    await using client = await connect(api)
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
  } catch (error) {
    if (error instanceof UsageError) throw error
    complain(`whether ${name} is a Service is not known: ${describe(error)}`)
    return undefined
  }
}
