// Listens on a unix socket, replacing the socket file of a dead agent but never that of a living one.
import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname, join } from 'node:path'

/** sun_path of sockaddr_un has 108 bytes, one of them for the ending NUL. */
const maxSocketPathBytes = 107

/**
 * Makes `server` listen on `path`, for root alone. Throws when another process answers on that path, or when the path is not a
 * socket. Returns a function that removes the path, unless another process has replaced it meanwhile.
 */
export async function listenOn(server: Server, path: string): Promise<() => Promise<void>> {
  await mkdir(dirname(path), { recursive: true })
  await refuseUnlessFree(path)
  // The socket is made in a directory that only root can enter, and moved to its path once its mode is right: so other users can never
  // connect to it, and while a stale socket is replaced there is always one at the path.
  const nursery = await mkdtemp(join(dirname(path), '.cni-'))
  try {
    const cradle = join(nursery, 's')
    if (Buffer.byteLength(cradle) > maxSocketPathBytes) {
      throw new Error(`${path}: too long for a unix socket (${maxSocketPathBytes} bytes with room for ".cni-XXXXXX/")`)
    }
    await startListening(server, cradle)
    await chmod(cradle, 0o600)
    await rename(cradle, path)
  } finally {
    await rm(nursery, { recursive: true })
  }
  const { dev, ino } = await lstat(path)
  return async () => {
    const now = await lstat(path).catch(() => undefined)
    if (now?.dev === dev && now.ino === ino) await rm(path, { force: true })
  }
}

async function startListening(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, resolve)
  await promise
  server.off('error', reject)
}

async function refuseUnlessFree(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return
  if (!stats.isSocket()) throw new Error(`${path}: exists and is no socket; remove it or choose another socket path`)
  if (await isAnswered(path)) {
    throw new Error(`${path}: another causeway agent answers here; stop it before starting this one`)
  }
}

async function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false)
    // EAGAIN: the listener's backlog is full, so the listener is alive.
    else if (error.code === 'EAGAIN') resolve(true)
    else reject(new Error(`${path}: cannot tell whether another agent uses it`, { cause: error }))
  })
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
