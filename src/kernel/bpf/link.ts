// A link: the attachment of a program as an object of its own, which can be pinned.
import { errorCode } from '#/lib/error-code.ts'
import { closeFd } from '#/sys/libc.ts'
import { BPF_LINK_DETACH, BPF_LINK_TYPE_TCX, BPF_LINK_UPDATE, type Hook, tcxHooks } from './commands.ts'
import { mustBpf } from './error.ts'
import { readLinkInfo } from './info.ts'
import { openPin, pinObject } from './pins.ts'
import { type BpfProgram } from './program.ts'

export type LinkState = {
  readonly id: number
  readonly kind: 'tcx' | 'other'
  readonly programId: number
  /** The device's index; 0 when it is gone, or the link was detached: then the link is of no more use. */
  readonly device: number
  /** Of a tcx link. */
  readonly hook?: Hook
}

export class BpfLink implements Disposable {
  readonly fd: number
  readonly #what: string

  /** Takes over a descriptor of a link. */
  constructor(fd: number, about: string) {
    this.fd = fd
    this.#what = `link to ${about}`
  }

  /** Throws BpfError, ENOENT when nothing is pinned there. */
  static openPinned(path: string): BpfLink {
    return new BpfLink(openPin(path), path)
  }

  /** The same; undefined when nothing is pinned there. Throws BpfError. */
  static ifPinned(path: string): BpfLink | undefined {
    try {
      return BpfLink.openPinned(path)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  info(): LinkState {
    const { id, type, programId, device, attachType } = readLinkInfo(this.fd, this.#what)
    const kind = type === BPF_LINK_TYPE_TCX ? 'tcx' : 'other'
    const hook = (['ingress', 'egress'] as const).find((each) => tcxHooks[each] === attachType)
    return {
      id,
      kind,
      programId,
      device: kind === 'other' ? 0 : device,
      ...(kind === 'tcx' && hook !== undefined && { hook }),
    }
  }

  /** Puts another program in place of the one that is attached: every packet meets one of them. Throws BpfError, ENOLINK when detached. */
  replace(program: BpfProgram): void {
    mustBpf(
      BPF_LINK_UPDATE,
      [
        [0, 'u32', this.fd],
        [4, 'u32', program.fd],
      ],
      `${this.#what}: put ${program.info.name} in place`,
      (code) => (code === 'ENOLINK' ? 'the device is gone, or the link was detached' : undefined),
    )
  }

  /** Ends the attachment, although the link goes on to exist while it is pinned or open. */
  detach(): void {
    mustBpf(BPF_LINK_DETACH, [[0, 'u32', this.fd]], `${this.#what}: detach`)
  }

  /** Throws BpfError: EEXIST, and when the path is in no bpffs. */
  pin(path: string): void {
    pinObject(this.fd, path, this.#what)
  }

  /** Ends the attachment too, unless the link is pinned or open elsewhere. */
  [Symbol.dispose](): void {
    closeFd(this.fd)
  }
}
