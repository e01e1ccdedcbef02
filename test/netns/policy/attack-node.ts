// A node with three pods: a victim that only its friend may reach, at one port of TCP, and an attacker that may write any frame.
import { families } from '#/lib/addr.ts'
import { tcp } from '#/plan/policy/testing/form.ts'
import { sweep } from './sweep.ts'
import { addrOf, bridgeMac, TableNode, type TestPod } from './table-node.ts'

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

  /** What of all the frames that the attacker can think of reaches the victim. */
  sweep(): ReturnType<typeof sweep> {
    return sweep(this.attacker, this.victim, bridgeMac)
  }

  /** Whether the friend still gets to the victim, in each family. */
  async friendArrives(): Promise<boolean> {
    const { friend: from, victim: to } = this
    for (const family of families) if (!(await this.arrives({ family, from, to }))) return false
    return true
  }
}
