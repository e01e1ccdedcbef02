// A BPF program in the kernel.
import { bpf } from '#/sys/bpf-call.ts'
import { closeFd } from '#/sys/libc.ts'
import { BPF_PROG_GET_FD_BY_ID, BPF_PROG_TEST_RUN, BPF_PROG_TYPE_SYSCALL } from './commands.ts'
import { bpfErrorOf, mustBpf } from './error.ts'
import { type ProgramInfo, readProgramInfo } from './info.ts'
import { openPin, pinObject } from './pins.ts'

export type TestRun = {
  /** A frame, from its Ethernet header on. The kernel takes none shorter than 14 bytes. */
  readonly data?: Uint8Array
  /** The context: struct __sk_buff of a program for packets, any bytes of one for system calls. */
  readonly ctx?: Uint8Array
  readonly repeat?: number
  /** How much longer than `data` the frame may become. */
  readonly growthBytes?: number
}

export type TestResult = {
  /** As the program returned it: a C int. */
  readonly retval: number
  /** The frame and the context as the program left them. */
  readonly data: Uint8Array
  readonly ctx: Uint8Array
  /** The mean of one run. 0 for programs for system calls. */
  readonly durationNs: number
}

export class BpfProgram implements Disposable {
  readonly fd: number
  readonly info: ProgramInfo

  /** Takes over a descriptor of a program. */
  constructor(fd: number, about = 'program') {
    this.fd = fd
    this.info = readProgramInfo(fd, about)
  }

  /** Throws BpfError, ENOENT when nothing is pinned there. */
  static openPinned(path: string): BpfProgram {
    return new BpfProgram(openPin(path), path)
  }

  /** Needs CAP_SYS_ADMIN. Throws BpfError, ENOENT when there is no such program (any more). */
  static byId(id: number): BpfProgram {
    return new BpfProgram(
      mustBpf(BPF_PROG_GET_FD_BY_ID, [[0, 'u32', id]], `program ${id}: open`).result,
      `program ${id}`,
    )
  }

  /** Throws BpfError: EEXIST, and when the path is in no bpffs. */
  pin(path: string): void {
    pinObject(this.fd, path, `program ${this.info.name}`)
  }

  /** Runs the program in the kernel, on this CPU (BPF_PROG_TEST_RUN). */
  testRun({ data, ctx, repeat = 1, growthBytes = 0 }: TestRun): TestResult {
    const what = `program ${this.info.name}: run it`
    // a program for system calls changes its context in place, and the kernel refuses all but that
    if (this.info.type === BPF_PROG_TYPE_SYSCALL) {
      const context = Uint8Array.from(ctx ?? [])
      const { attr } = mustBpf(
        BPF_PROG_TEST_RUN,
        [
          [0, 'u32', this.fd],
          [40, 'u32', context.length],
          [48, 'inout', ctx && context],
        ],
        what,
      )
      return { retval: attr.getInt32(4, true), data: new Uint8Array(), ctx: context, durationNs: 0 }
    }
    const [dataOut, ctxOut] = [new Uint8Array((data?.length ?? 0) + growthBytes), new Uint8Array(ctx?.length ?? 0)]
    const { code, attr } = bpf(BPF_PROG_TEST_RUN, [
      [0, 'u32', this.fd],
      [8, 'u32', data?.length ?? 0],
      [12, 'u32', dataOut.length],
      [16, 'in', data],
      [24, 'out', data && dataOut],
      [32, 'u32', repeat],
      [40, 'u32', ctx?.length ?? 0],
      [44, 'u32', ctxOut.length],
      [48, 'in', ctx],
      [56, 'out', ctx && ctxOut],
    ])
    if (code !== undefined)
      throw bpfErrorOf(what, code, code === 'ENOSPC' ? 'the frame became longer than growthBytes allows' : undefined)
    return {
      retval: attr.getInt32(4, true),
      data: dataOut.subarray(0, attr.getUint32(12, true)),
      ctx: ctxOut.subarray(0, attr.getUint32(44, true)),
      durationNs: attr.getUint32(36, true),
    }
  }

  [Symbol.dispose](): void {
    closeFd(this.fd)
  }
}
