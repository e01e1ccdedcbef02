// Passwords of BGP sessions, read from Secrets. A session whose password is configured but cannot be read stays down; the speaker
// never tries it without the password.
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'

/** The state of each Secret, by "namespace/name". A Secret without an entry has not been read yet. */
export type Secrets = ReadonlyMap<string, SecretState>
export type SecretState =
  /** The values, decoded from base64; values that are not text are left out. */
  | { readonly kind: 'found'; readonly data: Readonly<Record<string, string>> }
  /** The Secret does not exist, or the agent may not read it; `why` is the API server's message. */
  | { readonly kind: 'missing'; readonly why: string }

export type Password = { readonly password?: string; readonly blockedBecause?: string; readonly isPending?: boolean }

/** The longest password that the kernel takes: TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const maxPasswordBytes = 80

/** The password that `ref` names, or the reason why it cannot be used; an empty object when there is no `ref`. */
export function passwordOf(ref: SecretRef | undefined, secrets: Secrets): Password {
  if (ref === undefined) return {}
  const secret = secrets.get(secretKey(ref))
  const what = `Secret ${secretKey(ref)}`
  if (secret === undefined) return { blockedBecause: `${what} has not been read yet`, isPending: true }
  if (secret.kind === 'missing') return { blockedBecause: `${what}: ${secret.why}` }
  // editors end files with a newline, which is not part of the password
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
