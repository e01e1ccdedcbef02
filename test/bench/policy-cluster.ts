// A large cluster with policies, as values: namespaces of teams, each with ten applications, and policies between those.
import { Addr } from '#/lib/addr.ts'
import { type PolicyNamespace, type PolicyPod } from '#/policy/cluster.ts'
import { type LocalPod } from '#/policy/index/policy-index.ts'
import { type PeerMatch, type Policy, type PolicyRule } from '#/policy/policy.ts'

export const namespaceCount = 100
const appCount = 10
const nameLabel = 'app.kubernetes.io/name'

const appOf = (number: number): number => Math.floor(number / namespaceCount) % appCount
const isApp = (app: number): PeerMatch & { kind: 'pods' } => ({
  kind: 'pods',
  namespaces: { kind: 'labels', selector: [] },
  pods: [{ key: nameLabel, operator: 'In', values: [`app-${app % appCount}`] }],
})

export function namespaceOf(number: number): PolicyNamespace {
  return { name: `team-${number}`, labels: { group: `group-${number % 7}` }, isAudited: false }
}

/** Dual-stack. `version` is of its labels; `isAlone`: no other pod has the same. */
export function podOf(number: number, version: number, isAlone: boolean): PolicyPod {
  const app = appOf(number)
  const labels = {
    [nameLabel]: `app-${app}`,
    'app.kubernetes.io/instance': `app-${app}`,
    tier: app % 2 === 0 ? 'front' : 'back',
    'pod-template-hash': `7d9c${isAlone ? number : app}`,
    version: String(version),
  }
  const plain = {
    namespace: `team-${number % namespaceCount}`,
    name: `app-${app}-7d9c${app}-${number}`,
    uid: `6ba7b810-9dad-11d1-80b4-${String(number).padStart(12, '0')}`,
    node: `node-${number % 100}`,
    labels,
    namedPorts: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    isHostNetwork: false,
    hasEnded: false,
  } as const
  // as a reader leaves it: no text is shared with another pod's
  const read = JSON.parse(JSON.stringify(plain)) as typeof plain
  return { ...read, addrs: [Addr.parse('10.200.0.0').plus(number), Addr.parse('fd10::').plus(number)] }
}

export function localOf(number: number): LocalPod {
  const { namespace, name, uid, addrs } = podOf(number, 0, false)
  return { hostDevice: `cwv${number}`, namespace, name, uid, addrs }
}

/** Its application takes what two others send to its port, and sends to what is behind. */
export function policyOf(number: number): Policy {
  const app = appOf(number)
  const name = `team-${number % namespaceCount}`
  const rule = (index: number, peers: readonly PeerMatch[]): PolicyRule => ({
    index,
    action: 'accept',
    peers,
    ports: [
      { kind: 'range', protocol: 'TCP', first: 8080, last: 8080 },
      { kind: 'name', name: 'http' },
    ],
  })
  const own = { kind: 'name', name } as const
  const group = {
    kind: 'labels',
    selector: [{ key: 'group', operator: 'In', values: [`group-${number % 7}`] }],
  } as const
  const behind = [{ key: 'tier', operator: 'In', values: ['back'] }] as const
  return {
    key: `networkpolicy/${name}/app-${app}-${number}`,
    tier: 'NetworkPolicy',
    priority: 0,
    subject: { namespaces: own, pods: isApp(app).pods },
    rules: {
      ingress: [rule(0, [{ ...isApp(app + 1), namespaces: own }]), rule(1, [{ ...isApp(app + 3), namespaces: group }])],
      egress: [rule(0, [{ ...isApp(app), pods: behind }])],
    },
  }
}
