// Filters of tc at a device of the lab, as others forget them there.
import { bytecodeOf, type Instruction } from './classic-bpf.ts'
import { type FaultDevice, type Scene } from './fault.ts'

export type Hook = 'ingress' | 'egress'

/** The preference and the handle by which the filter is deleted again. */
const pref = 7
const handle = 1

/** What tells tc which program to load. */
function addFilter(scene: Scene, { netns, device }: FaultDevice, hook: Hook, program: readonly string[]): void {
  if (!scene.read(netns, `tc qdisc show dev ${device}`).includes('clsact')) {
    // who has put a filter there since keeps it, and the qdisc with it
    const isUsed = (['ingress', 'egress'] as const).map((each) => `$(tc filter show dev ${device} ${each})`).join('')
    scene.run(netns, `tc qdisc add dev ${device} clsact`, [
      'sh',
      '-c',
      `[ -n "${isUsed}" ] || tc qdisc del dev ${device} clsact`,
    ])
  }
  const place = [`dev`, device, hook, 'protocol', 'all', 'pref', String(pref), 'handle', String(handle)]
  scene.run(
    netns,
    ['tc', 'filter', 'add', ...place, 'bpf', 'direct-action', ...program],
    ['tc', 'filter', 'del', ...place, 'bpf'],
  )
}

/** Adds a filter of classic BPF. */
export function addClassic(scene: Scene, place: FaultDevice, hook: Hook, program: readonly Instruction[]): void {
  addFilter(scene, place, hook, ['bytecode', bytecodeOf(program)])
}

/** Adds a program of an object file. */
export function addObject(scene: Scene, place: FaultDevice, hook: Hook, file: string, section: string): void {
  addFilter(scene, place, hook, ['object-file', file, 'section', section])
}
