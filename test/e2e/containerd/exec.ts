// A command that runs beside this process, where spawnSync would stop the server that the command talks to.
import { execFile } from 'node:child_process'

/** Returns what it printed; what it complained of when it failed. */
export async function execFileAsync(command: string, args: readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile(command, args, (error, stdout, stderr) => resolve(error ? `${error.message} ${stderr}` : stdout))
  return promise
}
