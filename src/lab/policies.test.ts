import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '#/cluster/connect.ts'
import { networkPoliciesPath, nodesPath } from '#/cluster/paths.ts'
import { Addr } from '#/lib/addr.ts'
import { type KubeNode, type Pod } from '#/model/kubernetes.ts'
import { writeKubeconfig } from './api/kubeconfig.ts'
import { TestServer } from './api/testing.ts'
import { ensureDefinitions } from './definitions.ts'
import { deniedBy, readPolicies } from './policies.ts'
import { type ProbePod } from './probe/types.ts'

function podOf(name: string, host: number): Pod {
  return {
    metadata: { name, namespace: 'default', labels: { app: name } },
    spec: { nodeName: 'node-1', containers: [{ name: 'a', image: 'x' }] },
    status: { phase: 'Running', podIP: `10.244.0.${host}`, podIPs: [{ ip: `10.244.0.${host}` }] },
  }
}

test('what policies of the API forbid is told with their names', async () => {
  await using server = await TestServer.start()
  const kubeconfig = join(server.directory, 'kubeconfig')
  const { url, certificates, token } = server
  writeKubeconfig(kubeconfig, { server: url, ca: certificates.ca, token, name: 'lab' })
  await using client = await connect({ kubeconfig })
  const pods = [podOf('web', 2), podOf('db', 3)]
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  // the API does not know ClusterNetworkPolicy yet
  assert.equal((await readPolicies(client, { nodes, pods })).policies.size, 0)
  await ensureDefinitions(client)
  await client.create(networkPoliciesPath('default'), {
    metadata: { name: 'db' },
    spec: {
      podSelector: { matchLabels: { app: 'db' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ port: 8080 }] }],
    },
  })
  await client.create('/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies', {
    metadata: { name: 'no-db' },
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { pods: { podSelector: { matchLabels: { app: 'db' } } } },
      egress: [{ action: 'Deny', to: [{ namespaces: {} }] }],
    },
  })
  const view = await readPolicies(client, { nodes, pods })
  const probePod = (name: string, host: number): ProbePod => ({
    name,
    node: 'node-1',
    netnsPath: '',
    addrs: [Addr.parse(`10.244.0.${host}`)],
  })
  const [web, db] = [probePod('web', 2), probePod('db', 3)]
  const told = (from: ProbePod, to: ProbePod, protocol: 'icmp' | 'tcp', port = 8080): string | undefined =>
    deniedBy(view, { from, to, family: 4, target: to.addrs[0]! }, protocol, port)
  assert.equal(told(web, db, 'tcp'), undefined)
  assert.equal(told(web, db, 'tcp', 80), 'denied by networkpolicy/default/db: no ingress rule allows it')
  assert.equal(told(web, db, 'icmp'), 'denied by networkpolicy/default/db: no ingress rule allows it')
  assert.equal(told(db, web, 'icmp'), 'denied by clusternetworkpolicy/no-db, egress rule 0')
})
