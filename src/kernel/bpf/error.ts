// Failures of BPF, in words that say what is missing and what to do.
import { type AttrField, bpf, type BpfOutcome } from '#/sys/bpf-call.ts'
import { hasCapability } from '#/sys/capabilities.ts'

/** A call of bpf(2), or of what stands around it, failed. */
export class BpfError extends Error {
  override name = 'BpfError'
  /** The errno's name; undefined when no system call failed. */
  readonly code: string | undefined
  /** What the kernel's verifier or libbpf said, as it stands; empty when they said nothing. */
  readonly log: string

  constructor(message: string, { code, log = '', cause }: { code?: string; log?: string; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.log = log
  }
}

/** Why the kernel says EPERM, as far as a process can see. */
function missingRight(): string {
  if (hasCapability('SYS_ADMIN'))
    return 'the process has CAP_SYS_ADMIN: a seccomp profile, a security module or the lockdown of the kernel refuses it'
  const missing = (['BPF', 'NET_ADMIN'] as const).filter((capability) => !hasCapability(capability))
  if (missing.length === 0) return 'the process has CAP_BPF and CAP_NET_ADMIN, but not CAP_SYS_ADMIN: give it that too'
  return `the process has no ${missing.map((each) => `CAP_${each}`).join(' and no ')}: give it CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN`
}

const explanations: Readonly<Record<string, () => string>> = {
  EPERM: missingRight,
  ENOSYS: () => 'the kernel has no bpf(2): it needs CONFIG_BPF_SYSCALL',
  ENOMEM: () => 'the kernel has no memory for it',
  EMFILE: () => 'too many files are open in this process: raise its limit (RLIMIT_NOFILE)',
}

/** What an errno means where nothing more special is known; empty when its name says it all. */
export function explanationOf(code: string): string {
  const explanation = explanations[code]?.()
  return explanation === undefined ? '' : `: ${explanation}`
}

/** The error for an operation that failed with this errno. `why` stands in place of the general explanation. */
export function bpfErrorOf(what: string, code: string, why?: string): BpfError {
  return new BpfError(`${what}: ${code}${why === undefined ? explanationOf(code) : `: ${why}`}`, { code })
}

/** Calls bpf(2). Throws BpfError; `what` says what is done to which object, `why` what an errno means there. */
export function mustBpf(
  command: number,
  fields: readonly AttrField[],
  what: string,
  why?: (code: string) => string | undefined,
): BpfOutcome {
  const outcome = bpf(command, fields)
  if (outcome.code !== undefined) throw bpfErrorOf(what, outcome.code, why?.(outcome.code))
  return outcome
}
