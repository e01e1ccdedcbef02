// Address families as the kernel numbers them (include/linux/socket.h).
import { type Family } from '#/lib/addr.ts'

export const AF_INET = 2
export const AF_INET6 = 10

export function afOf(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6
}

/** The family of a kernel number; undefined for families other than IP. */
export function familyOf(af: number): Family | undefined {
  return af === AF_INET ? 4 : af === AF_INET6 ? 6 : undefined
}
