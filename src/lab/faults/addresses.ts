// A runtime that forgets to delete pods: their addresses stay in use, until there is none for another pod.
import { fileURLToPath } from 'node:url'
import { conflistFor } from '#/agent/cni-install/conflist.ts'
import { cniSocketName, spoolFolderName } from '#/model/node-files.ts'
import { netnsPath } from '#/sys/netns.ts'
import { latestCniVersion } from '#/wire/cni/index.ts'
import { LabPaths } from '../paths.ts'
import { podNetns } from '../spec.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsIpv4 } from './shape.ts'

/** In the bundle this module is two folders below the clone. */
const above = import.meta.url.endsWith('.ts') ? '../../..' : '../..'
const plugin = fileURLToPath(new URL(`${above}/build/causeway-cni`, import.meta.url))

/** A function of the shell that calls the CNI plugin as a runtime does, for the forgotten pod of a number. */
function callText({ spec, node }: Scene, netns: string): string {
  const paths = new LabPaths(spec.name)
  const [entry] = conflistFor([])['plugins'] as readonly object[]
  const config = JSON.stringify({ ...entry, cniVersion: latestCniVersion, name: conflistFor([])['name'] })
  const variables = {
    CNI_NETNS: netnsPath(netns),
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/nowhere',
    CAUSEWAY_CNI_SOCKET: `${paths.nodeRun(node.name)}/${cniSocketName}`,
    CAUSEWAY_CNI_SPOOL: `${paths.nodeState(node.name)}/${spoolFolderName}`,
  }
  const fixed = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  const pod = '"CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=old-$2;K8S_POD_UID=old-$2"'
  const call = `env CNI_COMMAND=$1 CNI_CONTAINERID=old$2 ${pod} ${fixed.join(' ')} ${plugin}`
  return `call() { printf %s '${config}' | ${call}; }`
}

export const addressFaults: readonly Fault[] = [
  {
    name: 'addresses-exhausted',
    about:
      'the runtime of a node has forgotten pods without deleting them: their addresses are used up, and new pods get none',
    where: 'pods that are in no API, in a namespace of the lab',
    codes: ['CW3112'],
    needs: needsIpv4,
    cause: (scene) => {
      const cidr = scene.node.podCIDRs.find(({ family }) => family === 4)!
      const netns = podNetns(scene.spec.name, 'default', 'old')
      const place = scene.node.netns
      const call = callText(scene, netns)
      const all = `for number in $(seq 1 ${cidr.size}); do`
      scene.run(place, `ip netns add ${netns}`, `ip netns del ${netns}`)
      // each next device is to be eth0 as well: the one before is set down for another name, and would lose its IPv6 addresses by that
      if (scene.families.includes(6)) scene.sysctl(netns, 'net/ipv6/conf/all/keep_addr_on_down', '1')
      const aside = `ip -n ${netns} link set eth0 down && ip -n ${netns} link set eth0 name old$number`
      const add = `${all} call ADD $number >/dev/null && ${aside} || break; done`
      scene.run(
        place,
        ['sh', '-c', `${call}; ${add}; [ "$number" -gt 1 ]`],
        ['sh', '-c', `${call}; ${all} call DEL $number || exit 1; done`],
      )
    },
  },
]
