// Makes build/bundle: the program as JavaScript, a file for each command and what they share, so that an agent holds no code
// of the lab, and the page of `causeway ui`. docs/decisions/0004-bundle.md has the reasons and the figures.
// It is built beside and put in place by renaming a link: who starts meanwhile gets the old program or the new one, whole.
import { lstatSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { bundleWeb } from './bundle-web.ts'

const root = new URL('..', import.meta.url).pathname
const link = join(root, 'build', 'bundle')
/** A build that another process works on now, or that a process just starts from, is younger than this. */
const minAgeMs = 60_000

function currentName(): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}

function removeOld(): void {
  const current = currentName()
  for (const name of readdirSync(join(root, 'build'))) {
    const path = join(root, 'build', name)
    if (!name.startsWith('bundle.') || name === current) continue
    const ageMs = Date.now() - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity)
    if (ageMs > minAgeMs) rmSync(path, { recursive: true, force: true })
  }
}

const startedAt = new Date()
removeOld()
const name = `bundle.${process.pid}.${startedAt.getTime().toString(36)}`
const dir = join(root, 'build', name)
const newLink = `${link}.${process.pid}`

function removeUnfinished(): void {
  for (const path of [dir, newLink]) rmSync(path, { recursive: true, force: true })
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    removeUnfinished()
    process.kill(process.pid, signal)
  })
const build = await rolldown({
  cwd: root,
  // a thread starts with a file of its own
  input: { causeway: 'src/cli/main.ts', 'bgp-worker': 'src/agent/bgp/worker.ts' },
  platform: 'node',
  // brings machine code of its own
  external: ['koffi'],
})
await build.write({
  dir,
  format: 'cjs',
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name].cjs',
  comments: { annotation: false, jsdoc: false, legal: true },
})
await build.close()
// the page of `causeway ui`
await bundleWeb(join(dir, 'web'))
// as old as the sources it was made from: what changed while it was built is newer, and the next run builds again
utimesSync(join(dir, 'causeway.cjs'), startedAt, startedAt)
symlinkSync(name, newLink)
renameSync(newLink, link)
