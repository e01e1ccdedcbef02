// NetworkPolicy as the server takes and refuses it. The texts are those of kube-apiserver 1.36.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { policyDefinition } from '../policy-definition.ts'
import { dig, parseJson, type Json } from './json.ts'
import { at, TestServer, type Answer } from './testing.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start()
})
after(() => server[Symbol.asyncDispose]())

const policies = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'
const clusterPolicies = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies'

async function post(path: string, apiVersion: string, kind: string, spec: Json, name = 'x'): Promise<Answer> {
  return server.call(path, { method: 'POST', body: { apiVersion, kind, metadata: { name }, spec } })
}

/** What the server says of a policy, which it does not store: the completed spec, or why not. */
async function judged(spec: Json): Promise<Json> {
  const answer = await post(
    `${policies}?dryRun=All&fieldValidation=Strict`,
    'networking.k8s.io/v1',
    'NetworkPolicy',
    spec,
  )
  if (answer.code === 201) return dig(answer.json, 'spec') ?? null
  assert.ok(answer.code === 422 || answer.code === 400, answer.text)
  return at(answer, 'message').replace('NetworkPolicy.networking.k8s.io "x" is invalid: ', '')
}

const everyPod = { podSelector: {} }

test('a policy is completed as by kube-apiserver', async () => {
  assert.deepEqual(await judged({}), { ...everyPod, policyTypes: ['Ingress'] })
  assert.deepEqual(await judged({ ...everyPod, egress: [{}] }), {
    ...everyPod,
    egress: [{}],
    policyTypes: ['Ingress', 'Egress'],
  })
  assert.deepEqual(await judged({ ...everyPod, egress: [] }), { ...everyPod, policyTypes: ['Ingress'] })
  assert.deepEqual(
    await judged({
      ...everyPod,
      policyTypes: ['Egress'],
      ingress: [{ from: [], ports: [{ port: 80 }, { port: 'dns', protocol: 'UDP' }] }],
    }),
    {
      ...everyPod,
      policyTypes: ['Egress'],
      ingress: [
        {
          ports: [
            { port: 80, protocol: 'TCP' },
            { port: 'dns', protocol: 'UDP' },
          ],
        },
      ],
    },
  )
})

test('what a policy cannot be is refused at its field', async () => {
  const ports = (port: Json): Json => ({ ...everyPod, ingress: [{ ports: [port] }] })
  const from = (peer: Json): Json => ({ ...everyPod, ingress: [{ from: [peer] }] })
  const block = (cidr: string, ...except: string[]): Json => from({ ipBlock: { cidr, except } })
  const port = 'spec.ingress[0].ports[0]'
  const peer = 'spec.ingress[0].from[0]'
  const refusals: readonly [spec: Json, message: string][] = [
    [
      { ...everyPod, policyTypes: ['egress'] },
      'spec.policyTypes[0]: Unsupported value: "egress": supported values: "Ingress", "Egress"',
    ],
    [
      { ...everyPod, policyTypes: ['A', 'B', 'C'] },
      'spec.policyTypes: Invalid value: ["A","B","C"]: may not specify more than two policyTypes',
    ],
    [ports({ port: 0 }), `${port}.port: Invalid value: 0: must be between 1 and 65535, inclusive`],
    [ports({ port: 'a--b' }), `${port}.port: Invalid value: "a--b": must not contain consecutive hyphens`],
    [ports({ port: '80' }), `${port}.port: Invalid value: "80": must contain at least one letter (a-z)`],
    [ports({ port: 80, endPort: 70 }), `${port}.endPort: Invalid value: 80: must be greater than or equal to \`port\``],
    [
      ports({ port: 'http', endPort: 80 }),
      `${port}.endPort: Invalid value: 80: may not be specified when \`port\` is non-numeric`,
    ],
    [ports({ endPort: 80 }), `${port}.endPort: Invalid value: 80: may not be specified when \`port\` is not specified`],
    [
      ports({ protocol: 'ICMP' }),
      `${port}.protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`,
    ],
    [from({}), `${peer}: Required value: must specify a peer`],
    [
      from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }),
      `${peer}: Forbidden: may not specify both ipBlock and another peer`,
    ],
    [block(''), `${peer}.ipBlock.cidr: Required value`],
    [
      block('10.0.0.0'),
      `${peer}.ipBlock.cidr: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
    ],
    [
      block('10.0.0.1/8'),
      `${peer}.ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`,
    ],
    [
      block('010.0.0.0/8'),
      `${peer}.ipBlock.cidr: Invalid value: "010.0.0.0/8": must not have leading 0s in IP or prefix length`,
    ],
    [
      block('::ffff:10.0.0.0/104'),
      `${peer}.ipBlock.cidr: Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address`,
    ],
    [
      block('10.0.0.0/8', '10.0.0.0/8'),
      `${peer}.ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of \`cidr\``,
    ],
    [
      block('10.0.0.0/8', 'fd00::/16'),
      `${peer}.ipBlock.except[0]: Invalid value: "fd00::/16": must be a strict subset of \`cidr\``,
    ],
    [
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
      "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
    [
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] } },
      'spec.podSelector.matchExpressions[0].operator: Invalid value: "Gt": not a valid selector operator',
    ],
    [
      { podSelector: { matchLabels: { ['x'.repeat(64)]: '' } } },
      `spec.podSelector.matchLabels: Invalid value: "${'x'.repeat(64)}": name part must be no more than 63 bytes`,
    ],
    [
      { ...everyPod, ingres: [] },
      'NetworkPolicy in version "v1" cannot be handled as a NetworkPolicy: strict decoding error: unknown field "spec.ingres"',
    ],
  ]
  for (const [spec, message] of refusals) assert.equal(await judged(spec), message)
})

test('generations count changes of the spec', async () => {
  await post(policies, 'networking.k8s.io/v1', 'NetworkPolicy', everyPod, 'counted')
  const patch = async (body: Json): Promise<Json | undefined> => {
    const options = { method: 'PATCH', type: 'application/strategic-merge-patch+json', body }
    return dig((await server.call(`${policies}/counted`, options)).json, 'metadata', 'generation')
  }
  assert.equal(await patch({ metadata: { labels: { a: 'b' } } }), 1)
  assert.equal(await patch({ spec: { egress: [{}] } }), 2)
})

test('ClusterNetworkPolicy is served by its definition, with its validations', async () => {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const body = parseJson(JSON.stringify(policyDefinition))
  const made = await server.call(definitions, { method: 'POST', body })
  assert.equal(made.code, 201, made.text)
  const apply = async (spec: Json): Promise<string> => {
    const answer = await post(
      `${clusterPolicies}?dryRun=All`,
      'policy.networking.k8s.io/v1alpha2',
      'ClusterNetworkPolicy',
      spec,
    )
    return answer.code === 201 ? 'taken' : at(answer, 'details', 'causes')
  }
  const least = { tier: 'Admin', priority: 0, subject: { namespaces: {} } }
  const egress = (rule: object): Json =>
    parseJson(JSON.stringify({ ...least, egress: [{ action: 'Deny', to: [{ networks: ['::/0'] }], ...rule }] }))
  assert.equal(await apply(least), 'taken')
  assert.equal(
    await apply(egress({ protocols: [{ tcp: { destinationPort: { range: { start: 1, end: 2 } } } }] })),
    'taken',
  )
  const wrong: readonly [spec: Json, cause: RegExp][] = [
    [{ ...least, priority: 1001 }, /less than or equal to 1000/],
    [{ ...least, tier: 'Default' }, /supported values: \\"Admin\\", \\"Baseline\\"/],
    [{ ...least, subject: {} }, /at least 1 properties/],
    [{ ...least, subject: { namespaces: {}, pods: { podSelector: {} } } }, /Too many: 2: must have at most 1 item/],
    [egress({ to: [] }), /at least 1 items/],
    [egress({ to: [{ networks: ['10.0.0.0'] }] }), /Invalid CIDR format provided/],
    [egress({ protocols: [{ udp: { destinationPort: { range: { start: 2, end: 2 } } } }] }), /Start port must be less/],
  ]
  for (const [spec, cause] of wrong) assert.match(await apply(spec), cause)
})
