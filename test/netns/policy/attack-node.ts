// A node with four pods: a victim that only its friend may reach, at one port of TCP, an attacker that may write any frame, and a silent one that
// may send to nobody.
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
  readonly silent: TestPod

  private constructor() {
    super()
    this.form
      .pods('friends', addrOf(4, 3), addrOf(6, 3))
      .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['friends'], ports: tcp(80) })
      .class('c1', 'ingress', ['p1'])
      .policy('p2', 'NetworkPolicy', 'egress')
      .class('c2', 'egress', ['p2'])
    this.victim = this.add(2, { ingress: 'c1' })
    this.friend = this.add(3)
    this.attacker = this.add(4)
    this.silent = this.add(5, { egress: 'c2' })
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

  /** What of all the frames that a pod can think of reaches another one. */
  sweep(from: TestPod = this.attacker, to: TestPod = this.victim): ReturnType<typeof sweep> {
    return sweep(from, to, bridgeMac)
  }

  /** Whether the friend still gets to the victim, in each family. */
  async friendArrives(): Promise<boolean> {
    const { friend: from, victim: to } = this
    for (const family of families) if (!(await this.arrives({ family, from, to }))) return false
    return true
  }
}
