// Faults of a single pod.
import { networkPoliciesPath, podPath } from '#/cluster/paths.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsTwoNodes } from './shape.ts'

/** The least MTU with which a device keeps IPv6. */
const leastMtuBytes = 1280
const narrowerByBytes = 150

function mtuOf(scene: Scene): number {
  const [, bytes] = / mtu (\d+) /.exec(scene.read(scene.pod.netns, 'ip -o link show dev eth0')) ?? []
  return Number(bytes)
}

/** The routes of the pod's device, as commands take them; the kernel's own link-local one comes with the device. */
function routesOf(scene: Scene, family: 4 | 6): string[] {
  return scene
    .read(scene.pod.netns, `ip -${family} route show dev eth0`)
    .split('\n')
    .map((line) => line.trim().replaceAll(/ (linkdown|pref medium)/g, ''))
    .filter((line) => line !== '' && !line.startsWith('fe80::/64'))
    .map((line) => `${line} dev eth0`)
}

/** Notes the routes of the pod, which the kernel changes or takes away with what they hang on: those with a gateway need the others first. */
function restoreRoutes(scene: Scene, family: 4 | 6): void {
  const byGateway = Map.groupBy(routesOf(scene, family), (route) => route.includes(' via '))
  // taken back in the opposite order
  for (const route of [...(byGateway.get(true) ?? []), ...(byGateway.get(false) ?? [])])
    scene.restore(scene.pod.netns, `ip -${family} route replace ${route}`)
}

export const podFaults: readonly Fault[] = [
  {
    name: 'pod-route-gone',
    about: 'somebody took the routes of a pod: it reaches its own node and nothing beyond',
    where: "the routes in the pod's namespace",
    codes: [],
    doctor: ['CW3114'],
    needs: needsTwoNodes,
    cause: (scene) => {
      for (const family of scene.families)
        for (const route of routesOf(scene, family).filter((line) => line.includes(' via ')))
          scene.run(scene.pod.netns, `ip -${family} route del ${route}`, `ip -${family} route add ${route}`)
    },
  },
  {
    name: 'pod-mtu',
    about: "a pod's device takes smaller packets than it is sent",
    where: "the MTU of eth0 in the pod's namespace",
    codes: [],
    doctor: ['CW3115'],
    cause: (scene) => {
      const before = mtuOf(scene)
      const after = Math.max(leastMtuBytes, before - narrowerByBytes)
      if (after >= before) throw new Error(`the MTU of pod ${scene.pod.title} is ${before}: IPv6 needs as much`)
      const set = (bytes: number): string => `ip link set dev eth0 mtu ${bytes}`
      // undone after the device has its MTU again: the kernel lowers those of IPv6 routes with it
      for (const family of scene.families) restoreRoutes(scene, family)
      scene.run(scene.pod.netns, set(after), set(before))
    },
  },
  {
    name: 'pod-address-gone',
    about: 'somebody took the addresses of a pod from its device',
    where: "the addresses in the pod's namespace",
    codes: ['CW3106'],
    cause: (scene) => {
      const { netns, addrs } = scene.pod
      for (const { family } of addrs) {
        // undone after the address is there again
        restoreRoutes(scene, family)
        const [line] = scene
          .read(netns, `ip -${family} -o addr show dev eth0 scope global`)
          .match(/inet6? [\da-f.:]+\/\d+/) ?? ['']
        const address = line.split(' ')[1]
        scene.run(netns, `ip addr del ${address} dev eth0`, `ip addr add ${address} dev eth0 nodad`)
      }
    },
  },
  {
    name: 'policy-denies',
    about: 'a network policy lets nobody reach a pod',
    where: 'a NetworkPolicy, and a label of the pod by which it is selected',
    codes: [],
    cause: async (scene) => {
      const { namespace, name } = scene.pod
      const label = { tier: 'private' }
      await scene.create(networkPoliciesPath(namespace), {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'private-tier' },
        spec: { podSelector: { matchLabels: label }, policyTypes: ['Ingress'] },
      })
      await scene.patch(
        podPath(namespace, name),
        { metadata: { labels: label } },
        { metadata: { labels: { tier: null } } },
      )
    },
  },
]
