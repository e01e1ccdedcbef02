// The transport over an agent's unix socket.
import { connect } from 'node:net'
import { httpTransport } from './http-transport.ts'
import { type AgentTransport } from './transport.ts'

export function socketTransport(socketPath: string): AgentTransport {
  return httpTransport(socketPath, async () => connect(socketPath))
}
