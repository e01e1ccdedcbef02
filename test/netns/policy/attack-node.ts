// A node with three pods: a victim that only its friend may reach, at one port of TCP, and an attacker that may write any frame.
import { families } from '#/lib/addr.ts'
import { tcp } from '#/plan/policy/testing/form.ts'
import { sweep } from './sweep.ts'
import { addrOf, TableNode, type TestPod } from './table-node.ts'

/** The pods' link-local addresses are chosen by themselves. */
export const linkLocalOf = ({ number }: TestPod): string => `fe80::${number}`

export class AttackNode extends TableNode {
  readonly victim: TestPod
  readonly friend: TestPod
  readonly attacker: TestPod

  private constructor() {
    super()
    this.form
      .pods('friends', addrOf(4, 3), addrOf(6, 3))
      .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['friends'], ports: tcp(80) })
      .class('c1', 'ingress', ['p1'])
    this.victim = this.add(2, { ingress: 'c1' })
    this.friend = this.add(3)
    this.attacker = this.add(4)
  }

  static async create(): Promise<AttackNode> {
    const node = new AttackNode()
    try {
      await node.settle()
      return node
    } catch (error) {
      node[Symbol.dispose]()
      throw error
    }
  }

  /** The names of the frames of the sweep that reach the victim, and how many were sent. */
  async sweep(): Promise<{ readonly sent: number; readonly arrived: ReadonlySet<string> }> {
    const names: string[] = []
    const arrived = new Set<string>()
    const collect = (frames: readonly Uint8Array[]): void => {
      for (const frame of frames) {
        const [, number] = /#(\d+)#/.exec(Buffer.from(frame).toString('latin1')) ?? []
        if (number !== undefined) arrived.add(names[Number(number) - 1]!)
      }
    }
    const { attacker, victim } = this
    victim.port.take()
    for (const { name, frame } of sweep(attacker, victim)) {
      names.push(name)
      attacker.port.send(frame)
      // more would not fit into the receiver's buffer
      if (names.length % 50 === 0) collect(victim.port.take())
    }
    collect(await victim.port.collect(200))
    return { sent: names.length, arrived }
  }

  /** Whether the friend still gets to the victim, in each family. */
  async friendArrives(): Promise<boolean> {
    const { friend: from, victim: to } = this
    for (const family of families) if (!(await this.arrives({ family, from, to }))) return false
    return true
  }
}
