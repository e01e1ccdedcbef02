import { PolicyNode } from './policy-node.ts'
import { podObject, policyObject } from '#/agent/policy/testing/policy-objects.ts'
import { networkPoliciesPath, podsPath } from '#/cluster/paths.ts'
import { request } from './pod-node.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
const n = Number(process.argv[2]),
  pods = Number(process.argv[3])
const node = await PolicyNode.start(process.argv[4] as 'bridge')
for (let i = 0; i < pods; i++)
  node.api.put(
    podsPath(),
    podObject(`shop/x${i}`, {
      labels: { app: `a${i % 50}` },
      addrs: [`10.244.${2 + (i >> 8)}.${i & 255}`],
      node: 'node-2',
    }),
  )
for (let i = 0; i < n; i++)
  node.api.put(
    networkPoliciesPath(),
    policyObject(`shop/p${i}`, {
      podSelector: { matchLabels: { app: `a${i % 50}` } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: `a${(i + 1) % 50}` } } }], ports: [{ port: 80 + i }] }],
    }),
  )
await eventually(() => node.policy.view.pods.size >= pods && node.policy.view.policies.size >= n, 'all')
await node.level()
const times: number[] = [],
  en: number[] = []
const part = node.policy
const enforce = part.enforce.bind(part)
part.enforce = (...a) => {
  const s = performance.now()
  enforce(...a)
  en.push(performance.now() - s)
}
for (let i = 0; i < 60; i++) {
  const name = `l${i}`
  const ns = node.newPod(name)
  node.setLabels(name, { app: `a${i % 10}` })
  await eventually(() => part.view.pods.has(`shop/${name}`), 'known')
  await node.level()
  await new Promise((r) => setTimeout(r, 20))
  const s = performance.now()
  if (n === 0 && pods === 0) node.agent.handler.handle(request('ADD', name, ns.path))
  else await node.tryAdd(name)
  times.push(performance.now() - s)
}
const med = (a: number[]) => a.toSorted((x, y) => x - y)[a.length >> 1]!.toFixed(3)
console.log(
  `policies ${n} pods ${pods}: ADD median ${med(times)} ms, enforce median ${med(en)} ms, max ${Math.max(...en).toFixed(2)}`,
  part.state,
)
await node[Symbol.asyncDispose]()
process.exit(0)
