// Opens the page in the browser of who runs the command. The address goes through a file that nobody else may read: other users of the computer see
// the arguments of every process, and the address holds the token.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A browser that has to be started first takes a while to read it. */
const keptMs = 30_000

/** Resolves when the program that opens things was started; rejects when there is none. */
export async function openInBrowser(address: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-ui-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const path = join(folder, 'open.html')
  writeFileSync(
    path,
    `<!doctype html><meta http-equiv="refresh" content="0;url=${address}"><title>causeway</title>\n`,
    {
      mode: 0o600,
    },
  )
  process.once('exit', remove)
  setTimeout(remove, keptMs).unref()
  const opener = spawn('xdg-open', [path], { detached: true, stdio: 'ignore' })
  opener.unref()
  await once(opener, 'spawn')
}
