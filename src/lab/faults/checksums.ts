// A network card that computes checksums wrongly: TCP and UDP are lost where they arrive, and ping works.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LabError } from '../spec.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsTwoNodes } from './shape.ts'
import { addObject } from './traffic-control.ts'
import { tunnelPort } from './underlay.ts'

/** In the bundle this module is two folders below the clone. */
const above = import.meta.url.endsWith('.ts') ? '../../..' : '../..'
const source = fileURLToPath(new URL(`${above}/native/lab/spoil-checksums.bpf.c`, import.meta.url))

/** Compiles the program into the lab's folder; returns its path. */
function compiled({ folder }: Scene): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const object = join(folder, 'spoil-checksums.bpf.o')
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-DTUNNEL_PORT=${tunnelPort}`]
  const headers = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  const { error, status, stderr } = spawnSync('clang', [...flags, headers, '-c', source, '-o', object], {
    encoding: 'utf8',
  })
  if (error !== undefined)
    throw new LabError('it is done by an eBPF program, and clang is missing: sh scripts/setup.sh ebpf')
  if (status !== 0) throw new LabError(`clang could not compile ${source}: ${stderr.trim()}`)
  return object
}

export const checksumFaults: readonly Fault[] = [
  {
    name: 'checksums-spoiled',
    about: 'the network card of a node computes the checksums of TCP and UDP wrongly; ping works',
    where: "a BPF program at the node's port of the switch; eth0 of the node leaves no checksum to others",
    codes: [],
    doctor: ['CW8103'],
    needs: needsTwoNodes,
    cause: (scene) => {
      const { spec, node } = scene
      const object = compiled(scene)
      // a veth hands packets on whose checksum is still to be computed, and nobody looks at it then
      const feature = 'tx-checksum-ip-generic'
      scene.run(node.netns, `ethtool -K eth0 ${feature} off`, `ethtool -K eth0 ${feature} on`)
      addObject(scene, scene.portOf(node), 'ingress', object, spec.routing === 'native' ? 'native' : 'tunnel')
    },
  },
]
