// The descriptor of a socket of Node's, for socket options that Node has no function for.
import { type Socket } from 'node:net'

/** What Node keeps to itself; undefined once the socket is closed, when the number may mean another file already. */
export function fdOf(socket: Socket): number | undefined {
  return (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd
}
