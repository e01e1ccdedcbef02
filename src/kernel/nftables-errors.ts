// What the kernel's refusals of nftables mean.
import { SysError } from '#/sys/libc.ts'
import { KernelError } from './netlink.ts'

/** The errors of nfnetlink when nf_tables is neither built in nor a module that can be loaded. */
const noNftables = ['EOPNOTSUPP', 'EINVAL', 'EPROTONOSUPPORT']

/** Whether there is no such object. */
export function isAbsent(error: unknown): boolean {
  return error instanceof KernelError && error.code === 'ENOENT'
}

/** An error of the first request, in words where it means that there is no nf_tables. */
export function explain(error: unknown): unknown {
  const isMissing = (error instanceof KernelError || error instanceof SysError) && noNftables.includes(error.code)
  if (!isMissing) return error
  return new Error(
    'this kernel has no nftables (CONFIG_NF_TABLES): load the module nf_tables, or use a kernel that has it',
    {
      cause: error,
    },
  )
}
