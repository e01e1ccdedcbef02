// Faults of Causeway's own programs, and of others that take their ports.
import { setTimeout as sleep } from 'node:timers/promises'
import { hasRouter } from '../routers/daemons.ts'
import { LabError } from '../spec.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsBfd, needsBgp } from './shape.ts'

const bgpPort = 179
const bfdPort = 3784
const startMs = 5000

/** BIRD with a neighbour that there is not: what it needs in order to listen. */
function birdText(family: 4 | 6): string {
  const neighbour = family === 4 ? '192.0.2.1' : '2001:db8::1'
  return `router id 192.0.2.2;
protocol device {}
protocol bgp uplink {
  local as 65099;
  neighbor ${neighbour} as 65098;
  multihop;
  passive;
  ipv${family} { import none; export none; };
}
`
}

/** Waits until a socket of the node has the port. Throws LabError after a while. */
async function listening(scene: Scene, protocol: 'tcp' | 'udp', port: number): Promise<void> {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const local = new RegExp(String.raw`^\s*\d+: [0-9A-F]+${hex} `, 'm')
  const deadlineMs = performance.now() + startMs
  for (;;) {
    const sockets = scene.read(scene.node.netns, `cat /proc/net/${protocol} /proc/net/${protocol}6`)
    if (local.test(sockets)) return
    if (performance.now() > deadlineMs)
      throw new LabError(`nobody listens on ${protocol} port ${port} after ${startMs} ms`)
    await sleep(50)
  }
}

/** Lets another program have a port of the agent: it is there first when the agent starts again. */
async function takePort(
  scene: Scene,
  protocol: 'tcp' | 'udp',
  port: number,
  command: readonly string[],
): Promise<void> {
  await scene.killAgent(scene.node)
  scene.daemon(scene.node.netns, command)
  await listening(scene, protocol, port)
  scene.startAgent(scene.node)
}

export const agentFaults: readonly Fault[] = [
  {
    name: 'agent-dead',
    about: 'the agent of a node was killed and nobody starts it again; packets flow on by what the kernel has',
    where: 'a process of the node',
    codes: [],
    doctor: ['CW6001'],
    cause: async (scene) => scene.killAgent(scene.node),
  },
  {
    name: 'agent-frozen',
    about: 'the agent of a node does not answer, though its process is there',
    where: 'a process of the node',
    codes: [],
    doctor: ['CW6001'],
    cause: (scene) => scene.freezeAgent(scene.node),
  },
  {
    name: 'second-bgp-speaker',
    about: 'another BGP speaker has the port of BGP',
    where: 'a BIRD on the node',
    codes: ['CW4109'],
    needs: (spec) => {
      if (!hasRouter('bird')) return 'it is done by BIRD, which is missing: apt-get install bird2'
      return needsBgp(spec)
    },
    cause: async (scene) => {
      const [family] = scene.families
      const config = scene.file(`faults/second-bgp-speaker.conf`, birdText(family!))
      const files = ['-c', config, '-s', config.replace('.conf', '.ctl'), '-P', config.replace('.conf', '.pid')]
      await takePort(scene, 'tcp', bgpPort, ['/usr/sbin/bird', '-f', ...files])
    },
  },
  {
    name: 'bfd-port-taken',
    about: 'another program has the port of BFD',
    where: 'a process of the node',
    codes: ['CW4110'],
    needs: needsBfd,
    cause: async (scene) => {
      const type = scene.spec.families === 'ipv6' ? 'udp6' : 'udp4'
      const script = `require('node:dgram').createSocket('${type}').bind(${bfdPort})`
      await takePort(scene, 'udp', bfdPort, [process.execPath, '-e', script])
    },
  },
]
