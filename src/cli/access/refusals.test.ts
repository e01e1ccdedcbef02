// The words of real API servers and kubelets (1.36), and what is made of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, ApiUnreachable } from '#/cluster/errors.ts'
import { ExecError } from '#/cluster/exec.ts'
import { apiRefusal, whyNotReached } from './refusals.ts'

const place = { node: 'n', namespace: 'causeway-system', pod: 'a' }

function apiError(code: number, reason: string, detail: string): ApiError {
  return new ApiError('GET https://api/x', { code, reason, detail })
}

test('a right that is lacking is named, with the command that grants it', () => {
  const lacks = (what: string): string => apiRefusal(apiError(403, 'Forbidden', `x is forbidden: ${what}`))
  const bind = 'kubectl -n causeway-system create rolebinding causeway-operators --clusterrole=causeway-operator'
  assert.equal(
    lacks('User "ann" cannot list resource "pods" in API group "" in the namespace "causeway-system"'),
    `user "ann" lacks the right to list pods in the namespace causeway-system; who may grant it: ${bind} --user=ann`,
  )
  assert.equal(
    lacks(
      'User "system:serviceaccount:ops:bot" cannot create resource "pods/exec" in API group "" in the namespace "causeway-system"',
    ),
    `user "system:serviceaccount:ops:bot" lacks the right to create pods/exec in the namespace causeway-system; who may grant it: ${bind} --serviceaccount=ops:bot`,
  )
  assert.match(
    lacks('User "ann" cannot list resource "pods" in API group "" at the cluster scope'),
    /^user "ann" lacks the right to list pods in all namespaces; who may grant it: kubectl -n NAMESPACE create /,
  )
})

test('another refusal is told in its own words', () => {
  const policy = `pods "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no`
  assert.equal(
    whyNotReached(apiError(403, 'Forbidden', policy), place),
    `the API server refuses it (403 Forbidden): ${policy}`,
  )
  assert.equal(
    whyNotReached(apiError(422, 'Invalid', policy), place),
    `the API server refuses it (422 Invalid): ${policy}`,
    'as of a ValidatingAdmissionPolicy',
  )
  assert.match(
    whyNotReached(apiError(403, 'Forbidden', 'pods "a" is forbidden:'), place),
    /^the user may get pods\/exec in the namespace causeway-system but not create it, .* --user=USER$/,
    'as of Kubernetes 1.35 and later, where the right to create is missing',
  )
  assert.match(
    apiRefusal(apiError(401, 'Unauthorized', 'Unauthorized')),
    /^the API server does not accept the credentials/,
  )
})

test('what stands in the way is told with the pod', () => {
  const exec = (message: string, status?: ExecError['status']): string =>
    whyNotReached(new ExecError(message, status), place)
  const failed = (message: string): string => exec(message, { kind: 'failure', reason: 'InternalError', message })
  const old =
    'error executing command in container: failed to exec in container: failed to start exec "22cd": OCI runtime exec failed: exec failed: unable to start container process: exec: "causeway-api-relay": executable file not found in $PATH: unknown'
  assert.equal(
    failed(old),
    `the agent in pod causeway-system/a is of a release without causeway-api-relay: bring it up to date with causeway install`,
  )
  assert.equal(
    failed('container not found ("agent")'),
    'nothing can be executed in pod causeway-system/a: container not found ("agent")',
  )
  assert.equal(
    exec('causeway-api-relay: /run/causeway/agent.sock: Connection refused', { kind: 'exit', code: 1 }),
    'the agent in pod causeway-system/a does not answer: causeway-api-relay: /run/causeway/agent.sock: Connection refused',
  )
  assert.equal(exec('the connection was lost (1006)'), 'pod causeway-system/a: the connection was lost (1006)')
  assert.equal(
    whyNotReached(apiError(500, 'InternalError', 'error dialing backend: connection refused'), place),
    'the API server does not get through to pod causeway-system/a (500 InternalError): error dialing backend: connection refused',
  )
  assert.match(whyNotReached(apiError(404, 'NotFound', 'pods "a" not found'), place), /^pod causeway-system\/a is gone/)
  const away = new ApiUnreachable('GET https://api/x', new Error('connect ECONNREFUSED'))
  assert.equal(whyNotReached(away, place), 'GET https://api/x failed: connect ECONNREFUSED')
  assert.equal(
    whyNotReached(new Error('socket hang up'), place),
    'no answer from the agent in pod causeway-system/a: socket hang up',
  )
})
