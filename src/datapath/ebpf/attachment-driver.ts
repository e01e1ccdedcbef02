// Where the programs are attached: at pods' host devices, the tunnel device, and the devices of the underlay. What carries packets is replaced
// in one step, and before it goes its connections are given back to the stack (drain.ts).
import { setImmediate } from 'node:timers/promises'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { attachmentKey, type BpfAttachment } from '#/model/bpf.ts'
import { isPodDevice } from '#/model/names.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, type CompareOptions, type Comparison, type Driver, nothingToDo } from '#/reconcile/driver.ts'
import { missingDevice } from '#/reconcile/missing-device.ts'
import { type Failure } from '#/reconcile/status.ts'
import { drain, setDraining } from './drain.ts'
import { type Generation, generationsIn } from './generation.ts'
import { type Found } from './hooks.ts'
import { podHooks } from './pod-plug.ts'
import { type EbpfState } from './state.ts'

/** How many devices are looked at before other work on the event loop gets its turn. */
const devicesPerTurn = 32

export class AttachmentDriver implements Driver {
  readonly kind = 'attachment'
  readonly #netlink: Netlink
  readonly #state: EbpfState
  readonly #isInUse: (port: string) => boolean
  /** The filters of pods' devices that had theirs at the last look, by the device's index. */
  readonly #seen = new Map<number, readonly Found[]>()

  constructor(netlink: Netlink, state: EbpfState, isInUse: (port: string) => boolean) {
    this.#netlink = netlink
    this.#state = state
    this.#isInUse = isInUse
  }

  async compare({ bpf }: DesiredNetwork, { isComplete, kinds }: CompareOptions): Promise<Comparison> {
    const generation = this.#state.current
    if (bpf === undefined && !this.#mayBeAttached) return nothingToDo
    const links = listLinks(this.#netlink)
    const found = await this.#find(links, kinds === undefined)
    const wanted = bpf && generation ? this.#wanted(bpf.attachments, links) : []
    const keys: string[] = []
    const changes: Change[] = []
    const failures = new Map<string, Failure>()
    for (const { attachment, device } of wanted) {
      const key = attachmentKey(attachment)
      keys.push(key)
      const present = found.get(key)
      found.delete(key)
      if (device === undefined) failures.set(key, missingDevice(attachment.device))
      else if (isAsWanted(present, attachment, device, generation!)) continue
      // programs whose maps lack nodes would give packets of carried connections back to the stack
      else if (present?.index === device.index && generation!.isEmpty && !isComplete) continue
      else changes.push(this.#attaching(attachment, device, generation!, present))
    }
    // a pod whose ADD came after the plan was made has its programs already
    const isLater = ({ device }: Found): boolean =>
      bpf !== undefined &&
      isPodDevice(device) &&
      this.#isInUse(device) &&
      !bpf.pods.some((pod) => pod.device === device)
    const left = [...found.values()].filter((each) => !isLater(each))
    return { keys, changes, leftovers: this.#removals(left, links, bpf !== undefined), failures }
  }

  /** `isWhole`: every device is looked at, and not only those that were not as they should be the last time. */
  async #find(links: readonly Link[], isWhole: boolean): Promise<Map<string, Found>> {
    const { hooks } = this.#state
    if (isWhole) this.#seen.clear()
    const linked = hooks.links()
    const linksOf = Map.groupBy(linked, ({ index }) => index)
    const all = [...linked]
    let looked = 0
    for (const device of links) {
      const seen = this.#seen.get(device.index)
      const found = seen ?? hooks.filters(this.#netlink, device)
      all.push(...found)
      if (seen !== undefined) continue
      const count = found.length + (linksOf.get(device.index)?.length ?? 0)
      if (isPodDevice(device.name) && count === podHooks.length) this.#seen.set(device.index, found)
      if (++looked % devicesPerTurn === 0) await setImmediate()
    }
    return new Map(all.map((each) => [attachmentKey(each), each]))
  }

  /** Whether anything of ours can be attached; where nothing is pinned the kernel need not be asked. */
  get #mayBeAttached(): boolean {
    const { current, isThorough, folder, hooks } = this.#state
    return current !== undefined || isThorough || generationsIn(folder).length > 0 || hooks.hasPins
  }

  /** What is to be attached, each with its device; undefined for one that is missing. */
  #wanted(
    attachments: readonly BpfAttachment[],
    links: readonly Link[],
  ): { readonly attachment: BpfAttachment; readonly device: Link | undefined }[] {
    const byName = new Map(links.map((link) => [link.name, link]))
    return attachments.flatMap((attachment) => {
      const device = byName.get(attachment.device)
      if (isPodDevice(attachment.device) && !this.#isInUse(attachment.device)) return []
      if (attachment.isEthernetOnly && device?.isEthernet !== true) return []
      return [{ attachment, device }]
    })
  }

  #attaching(
    { device: name, hook, program }: BpfAttachment,
    device: Link,
    generation: Generation,
    present?: Found,
  ): Change {
    const { hooks } = this.#state
    return {
      verb: present === undefined ? 'add' : 'change',
      key: attachmentKey({ device: name, hook }),
      commands: [hooks.commandOf('attach', name, hook, program)],
      work: {
        call: () => {
          if (isPodDevice(name) && !this.#isInUse(name)) return
          this.#seen.delete(device.index)
          hooks.attach(this.#netlink, device, { hook, name: program, program: generation.program(program) })
        },
      },
    }
  }

  /** `isUsed`: other programs stay at work. */
  #removals(left: readonly Found[], links: readonly Link[], isUsed: boolean): Change[] {
    if (left.length === 0) return []
    const indices = new Set(links.map(({ index }) => index))
    const isAtWork = ({ index }: Found): boolean => index !== undefined && indices.has(index)
    let isDrained = !left.some(isAtWork)
    const removals = left.map((each) => this.#removal(each, isUsed, () => isDrained))
    if (isDrained) return removals
    const key = attachmentKey(left.find(isAtWork)!)
    const { folder } = this.#state
    const draining: Change = {
      verb: 'change',
      key,
      commands: ['# give running connections back to the stack'],
      work: {
        call: async () => {
          await drain(folder)
          isDrained = true
        },
      },
    }
    const drained: Change = {
      verb: 'change',
      key,
      commands: ['# have the other programs carry connections again'],
      work: { call: () => setDraining(folder, false) },
    }
    return [draining, ...removals, ...(isUsed ? [drained] : [])]
  }

  #removal({ device, hook, index }: Found, isUsed: boolean, isDrained: () => boolean): Change {
    const { hooks } = this.#state
    return {
      verb: 'delete',
      key: attachmentKey({ device, hook }),
      commands: [hooks.commandOf('detach', device, hook)],
      work: {
        call: () => {
          // an ADD that came after the plan was made may have given the device to a pod
          if (isUsed && isPodDevice(device) && this.#isInUse(device)) return
          if (!isDrained()) throw new Error('connections that it carries could not be given back to the stack')
          if (index !== undefined) this.#seen.delete(index)
          hooks.detach(this.#netlink, device, hook, index)
        },
      },
    }
  }
}

function isAsWanted(
  present: Found | undefined,
  { program }: BpfAttachment,
  device: Link,
  generation: Generation,
): boolean {
  return present?.index === device.index && present.programId === generation.program(program).info.id
}
