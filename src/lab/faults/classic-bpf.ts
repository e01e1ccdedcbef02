// Programs in classic BPF, which tc(8) takes as numbers (tc-bpf(8), bytecode): a filter that needs no compiler. Pure.
// The instructions are those of Documentation/networking/filter.rst; packets are seen from their Ethernet header on.

/** An instruction; jumps go to labels, and to the next instruction where they name none. */
export type Instruction = {
  readonly op: keyof typeof opcodes
  readonly k: number
  readonly yes?: string
  readonly no?: string
  readonly label?: string
}

const opcodes = {
  /** A = 32, 16 or 8 bits at k. */
  ld: 0x20,
  ldh: 0x28,
  ldb: 0x30,
  /** A = 16 bits at X + k. */
  ldhx: 0x48,
  /** X = four times the lower half of the byte at k: the length of an IPv4 header. */
  ldxlen: 0xb1,
  and: 0x54,
  jeq: 0x15,
  jge: 0x35,
  ret: 0x06,
} as const

/** What a program in direct-action mode returns (include/uapi/linux/pkt_cls.h). */
export const TC_ACT_SHOT = 2
export const TC_ACT_UNSPEC = 0xffff_ffff

/** Loads a random number of 32 bits: SKF_AD_OFF + SKF_AD_RANDOM. */
export const randomOffset = 0xffff_f000 + 56

/** The operand `bytecode` of tc. Throws Error for a label that does not follow. */
export function bytecodeOf(program: readonly Instruction[]): string {
  const lines = program.map(({ op, k, yes, no }, index) => {
    const distance = (label: string | undefined): number => {
      if (label === undefined) return 0
      const target = program.findIndex((each) => each.label === label)
      if (target <= index) throw new Error(`no label "${label}" follows instruction ${index}`)
      return target - index - 1
    }
    return `${opcodes[op]} ${distance(yes)} ${distance(no)} ${k >>> 0}`
  })
  return [lines.length, ...lines].join(',')
}

const drop: Instruction = { op: 'ret', k: TC_ACT_SHOT, label: 'drop' }
const pass: Instruction = { op: 'ret', k: TC_ACT_UNSPEC, label: 'pass' }

/** Drops this share of all packets, at random. */
export function droppingShare(share: number): Instruction[] {
  return [{ op: 'ld', k: randomOffset }, { op: 'jge', k: Math.floor(share * 2 ** 32), yes: 'pass' }, drop, pass]
}

const ETH_P_IP = 0x0800
const ETH_P_IPV6 = 0x86dd
const IPPROTO_UDP = 17

/** Drops UDP to a port, over IPv4 and IPv6 without extension headers. */
export function droppingUdp(port: number): Instruction[] {
  return [
    { op: 'ldh', k: 12 },
    { op: 'jeq', k: ETH_P_IP, no: 'not-ipv4' },
    { op: 'ldb', k: 23 },
    { op: 'jeq', k: IPPROTO_UDP, no: 'pass' },
    { op: 'ldxlen', k: 14 },
    { op: 'ldhx', k: 16 },
    { op: 'jeq', k: port, yes: 'drop', no: 'pass' },
    { op: 'jeq', k: ETH_P_IPV6, no: 'pass', label: 'not-ipv4' },
    { op: 'ldb', k: 20 },
    { op: 'jeq', k: IPPROTO_UDP, no: 'pass' },
    { op: 'ldh', k: 56 },
    { op: 'jeq', k: port, yes: 'drop' },
    pass,
    drop,
  ]
}

/** Where an IPv4 and an IPv6 packet have the first four bytes of their source. */
const sourceAt = { 4: 26, 6: 22 } as const
const etherTypes = { 4: ETH_P_IP, 6: ETH_P_IPV6 } as const

/** A range of sources, by the bytes of its address and its length, which is at most 64. */
export type Sources = { readonly family: 4 | 6; readonly bytes: Uint8Array; readonly length: number }

/** Drops what comes from any of the ranges. */
export function droppingSources(ranges: readonly Sources[]): Instruction[] {
  const blocks = ranges.flatMap(({ family, bytes, length }, index): Instruction[] => {
    const next = index + 1 < ranges.length ? `range-${index + 1}` : 'pass'
    const words = [0, 4].flatMap((offset): Instruction[] => {
      const bits = Math.min(32, length - offset * 8)
      if (bits <= 0) return []
      const mask = bits === 32 ? 0xffff_ffff : (2 ** 32 - 2 ** (32 - bits)) >>> 0
      const value = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset)
      return [
        { op: 'ld', k: sourceAt[family] + offset },
        { op: 'and', k: mask },
        { op: 'jeq', k: (value & mask) >>> 0, no: next },
      ]
    })
    const last = words.at(-1)!
    return [
      { op: 'ldh', k: 12, label: `range-${index}` },
      { op: 'jeq', k: etherTypes[family], no: next },
      ...words.slice(0, -1),
      { ...last, yes: 'drop' },
    ]
  })
  return [...blocks, pass, drop]
}
