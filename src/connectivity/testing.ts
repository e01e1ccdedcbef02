// A site for tests: nodes with pods, as they are when all are ready.
import { podObjects } from './objects.ts'
import { type Probe, type Site, type TestNode } from './types.ts'
import { roleOf } from './objects.ts'

export function testNodes(count: number): TestNode[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `node-${index + 1}`,
    addrs: [`172.30.1.${index + 11}`, `fd30::${index + 11}`],
  }))
}

export function testSite(count: number, besides: Partial<Site> = {}): Site {
  const nodes = testNodes(count)
  const pods = podObjects('causeway-test', nodes, 'image').map(({ metadata: { name }, spec: { nodeName } }, index) => ({
    name: `causeway-test/${name}`,
    node: nodeName,
    role: roleOf(name)!,
    addrs: [`10.244.0.${index + 2}`, `fd10:244::${index + 2}`],
  }))
  return { nodes, pods, outside: [], observed: [], ...besides }
}

export const probe: Probe = {
  from: { name: 'causeway-test/client-1', node: 'node-1', isPod: true },
  to: { name: 'causeway-test/server-2', node: 'node-2', isPod: true },
  family: 4,
  protocol: 'tcp',
  port: 8080,
  expects: 'arrival',
}
