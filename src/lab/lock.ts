// Keeps commands that change a lab apart: two `lab up` would both find a part missing, and make it twice. The lock is a socket of the abstract namespace
// (unix(7)), which ends with its process, however that ends.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { errorCode } from '#/lib/error-code.ts'
import { LabError } from './spec.ts'

/** Throws LabError when another process has the lock. Dispose of it to give the lock back. */
export async function lockLab(lab: string): Promise<AsyncDisposable> {
  const server = createServer()
  try {
    server.listen(`\0causeway-lab-${lab}`)
    await once(server, 'listening')
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') throw error
    throw new LabError(
      `another command is changing lab "${lab}" ("lab up", "lab break" or "lab mend"): wait for its end, or end it`,
    )
  }
  return server
}
