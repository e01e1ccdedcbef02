// Says in words why the API server, or what stands behind it, let nobody through to an agent. Pure.
import { ApiError, ApiUnreachable, oneLine } from '#/cluster/errors.ts'
import { ExecError } from '#/cluster/exec.ts'
import { operatorRole } from '#/install/access.ts'
import { messageOf } from '#/lib/log.ts'

/** The program that is executed in an agent's container. */
export const relay = 'causeway-api-relay'

/** What RBAC says: User "x" cannot list resource "pods" in API group "" in the namespace "y". */
const lackedRight =
  /User "([^"]*)" cannot (\w+) resource "([\w/.-]+)"(?: in API group "([^"]*)")?(?: in the namespace "([^"]*)")?/

function grantFor(user: string, namespace: string): string {
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user)
  const whom = account ? `--serviceaccount=${account[1]}:${account[2]}` : `--user=${user}`
  const where = namespace === '' ? 'NAMESPACE' : namespace
  return `kubectl -n ${where} create rolebinding causeway-operators --clusterrole=${operatorRole} ${whom}`
}

/** What an answer of the API means for who asks agents: why it refuses, and what to do. */
export function apiRefusal(error: ApiError): string {
  const { code, detail } = error
  if (code === 401)
    return `the API server does not accept the credentials (401${detail && `: ${detail}`}); are they expired, or those of another cluster?`
  const right = code === 403 ? lackedRight.exec(detail) : null
  if (right === null) return `the API server refuses it (${code} ${error.reason}): ${detail || 'without a word'}`
  const [, user = '', verb, resource, , namespace = ''] = right
  const where = namespace === '' ? 'in all namespaces' : `in the namespace ${namespace}`
  return `user "${user}" lacks the right to ${verb} ${resource} ${where}; who may grant it: ${grantFor(user, namespace)}`
}

type Place = { readonly node: string; readonly namespace: string; readonly pod: string }

function execFailure(error: ExecError, title: string): string {
  const { status, message } = error
  if (status?.kind === 'exit') return `the agent in ${title} does not answer: ${message}`
  if (status?.kind === 'failure' && /executable file not found|no such file or directory/.test(message))
    return `the agent in ${title} is of a release without ${relay}: bring it up to date with causeway install`
  return status === undefined ? `${title}: ${message}` : `nothing can be executed in ${title}: ${message}`
}

/** Why the agent in a pod was not reached; names the pod where it has to do with that. */
export function whyNotReached(error: unknown, { namespace, pod }: Place): string {
  const title = `pod ${namespace}/${pod}`
  if (error instanceof ExecError) return execFailure(error, title)
  if (error instanceof ApiError) {
    if (error.code === 404) return `${title} is gone: ${error.detail}; ask again`
    // RBAC that allows only the GET of the WebSocket says no more than this
    if (error.code === 403 && /is forbidden:?$/.test(error.detail))
      return `the user may get pods/exec in the namespace ${namespace} but not create it, and has to since Kubernetes 1.35; who may grant it: ${grantFor('USER', namespace)}`
    if (error.code < 500) return apiRefusal(error)
    return `the API server does not get through to ${title} (${error.code} ${error.reason}): ${error.detail}`
  }
  if (error instanceof ApiUnreachable) return oneLine(messageOf(error))
  return `no answer from the agent in ${title}: ${oneLine(messageOf(error))}`
}
