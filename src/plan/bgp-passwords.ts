// Passwords of BGP sessions, read from Secrets. A session that should have a password and has none stays down; it is never tried
// without.
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'

/** The state of each Secret, by "namespace/name". A Secret without an entry has not been read yet. */
export type Secrets = ReadonlyMap<string, SecretState>
export type SecretState =
  /** Decoded; values that are no text are left out. */
  | { readonly kind: 'found'; readonly data: Readonly<Record<string, string>> }
  /** The Secret does not exist or may not be read; `why` has the API's words. */
  | { readonly kind: 'missing'; readonly why: string }

export type Password = { readonly password?: string; readonly blockedBecause?: string; readonly isPending?: boolean }

/** TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const maxPasswordBytes = 80

/** The password that `ref` names, or why it cannot be had; an empty value when there is no reference. */
export function passwordOf(ref: SecretRef | undefined, secrets: Secrets): Password {
  if (ref === undefined) return {}
  const secret = secrets.get(secretKey(ref))
  const what = `Secret ${secretKey(ref)}`
  if (secret === undefined) return { blockedBecause: `${what} has not been read yet`, isPending: true }
  if (secret.kind === 'missing') return { blockedBecause: `${what}: ${secret.why}` }
  // editors end files with a newline, which no router's password has
  const text = Object.hasOwn(secret.data, ref.key) ? secret.data[ref.key]!.replace(/\r?\n$/, '') : undefined
  if (text === undefined) return { blockedBecause: `${what} has no text under the key "${ref.key}"` }
  if (text === '') return { blockedBecause: `${what}: the password under "${ref.key}" is empty` }
  const bytes = new TextEncoder().encode(text).length
  if (bytes > maxPasswordBytes)
    return {
      blockedBecause: `${what}: the password under "${ref.key}" has ${bytes} bytes; TCP takes ${maxPasswordBytes} (RFC 2385)`,
    }
  return { password: text }
}
