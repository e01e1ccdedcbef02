import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readClusterNetworkPolicy } from './read-cluster-network-policy.ts'
import { readNetworkPolicy } from './read-network-policy.ts'
import { podMatchText, ruleText } from './rule-text.ts'

test('rules and subjects in words', () => {
  const spec = {
    podSelector: { matchLabels: { app: 'b' } },
    ingress: [
      { ports: [{ port: 80 }, { port: 8000, endPort: 8100 }, { port: 'web' }, { protocol: 'UDP' }] },
      { from: [{ podSelector: { matchLabels: { app: 'c' } } }, { namespaceSelector: {} }] },
      { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] },
      { from: Array.from({ length: 9 }, (_, index) => ({ ipBlock: { cidr: `10.${index}.0.0/16` } })) },
      { from: [{}] },
    ],
  }
  const { policy } = readNetworkPolicy({ metadata: { namespace: 'x', name: 'p' }, spec } as never)
  assert.equal(podMatchText(policy!.subject), 'pods app=b in namespace x')
  assert.deepEqual(policy!.rules.ingress!.map(ruleText), [
    'any peer; TCP 80, TCP 8000-8100, port web (TCP), any port of UDP',
    'pods app=c in namespace x, all pods in all namespaces; any port',
    '10.0.0.0/8 except 10.1.0.0/16; any port',
    '10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16 and 5 more; any port',
    'no peer; any port',
  ])
  const admin = {
    metadata: { name: 'a' },
    spec: { tier: 'Admin', priority: 1, subject: { namespaces: { matchLabels: { team: 'a' } } } },
  }
  assert.equal(podMatchText(readClusterNetworkPolicy(admin as never).policy!.subject), 'all pods in namespaces team=a')
})
