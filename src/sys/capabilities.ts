// The rights of this process: capabilities(7).
import { readFileSync } from 'node:fs'

/** Numbers of include/uapi/linux/capability.h. */
const bits = { NET_ADMIN: 12, SYS_ADMIN: 21, PERFMON: 38, BPF: 39 } as const

export type Capability = keyof typeof bits

/** Whether the calling thread has a capability now (its effective set). */
export function hasCapability(capability: Capability): boolean {
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8')) ?? []
  return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(bits[capability])) & 1n) === 1n
}
