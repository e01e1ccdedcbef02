// TCP_USER_TIMEOUT for the agent's connections to the Kubernetes API, which Node has no function for. tcp(7).
import { type LimitSilence } from '#/cluster/transport.ts'
import { setUserTimeout } from '#/sys/tcp-session.ts'
import { fdOf } from '../socket-fd.ts'

/** Makes a connected socket fail with ETIMEDOUT when bytes that it sent stay unacknowledged for that long. */
export const limitSilence: LimitSilence = (socket, maxSilenceMs) => {
  const fd = fdOf(socket)
  if (fd !== undefined && fd >= 0) setUserTimeout(fd, maxSilenceMs)
}
