// Debian's kernels: where they come from, and what of them a virtual machine boots. Kept in build/kernels, one folder each; a folder
// that is removed is made again, of the newest package.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { must } from './must.ts'

/** A kernel by the version that people know it by, and the Debian release that has it. */
export type DebianKernel = { readonly version: string; readonly release: string }

export const debianKernels: readonly DebianKernel[] = [
  { version: '6.1', release: 'bookworm' },
  { version: '6.12', release: 'trixie' },
]

/** An unpacked kernel and a static busybox. `modules` is the folder that is to stand at /lib/modules/RELEASE. */
export type KernelFiles = {
  readonly root: string
  readonly release: string
  readonly image: string
  readonly modules: string
}

const cache = new URL('../../build/kernels', import.meta.url).pathname
/** The archive that this machine gets such packages from, or Debian's own. */
function archiveOf(label: string, otherwise: string): string {
  const { stdout } = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(REPO_URI)', 'Origin: Debian', `Label: ${label}`],
    {
      encoding: 'utf8',
    },
  )
  return stdout?.split('\n')[0] || otherwise
}

/** apt for a Debian release that need not be this machine's: runs a command of it, whose files are in `folder`. */
function aptFor(release: string, folder: string): (command: string, ...args: readonly string[]) => string {
  const signed = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
  const archive = archiveOf('Debian', 'http://deb.debian.org/debian/')
  const security = archiveOf('Debian-Security', 'http://deb.debian.org/debian-security/')
  for (const each of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, each), { recursive: true })
  const sources = join(folder, 'sources.list')
  const lines = [`deb ${signed} ${archive} ${release} main`, `deb ${signed} ${security} ${release}-security main`]
  writeFileSync(sources, lines.map((line) => `${line}\n`).join(''))
  const options = [
    `Dir::State=${folder}`,
    'Dir::State::status=/dev/null',
    `Dir::Cache=${folder}`,
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Acquire::Languages=none',
    // or apt says that its own user may not write here
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option])
  return (command, ...args) => must(command, [...options, ...args], folder)
}

function releaseOf(root: string): string {
  const name = readdirSync(join(root, 'boot')).find((each) => each.startsWith('vmlinuz-'))
  if (name === undefined) throw new Error(`${root}/boot has no kernel; remove ${root}, then run this again`)
  return name.slice('vmlinuz-'.length)
}

/** Downloads kernel and busybox, and unpacks them into `root`. */
function unpackPackages({ version, release }: DebianKernel, root: string): void {
  const folder = mkdtempSync(`${root}.packages-`)
  try {
    const apt = aptFor(release, folder)
    apt('apt-get', 'update')
    const [, name] = /Depends: (linux-image-\S+)/.exec(apt('apt-cache', 'depends', 'linux-image-cloud-amd64')) ?? []
    if (!name?.startsWith(`linux-image-${version}.`))
      throw new Error(`Debian ${release} has ${name ?? 'no kernel'}, and not a kernel ${version}`)
    apt('apt-get', 'download', name, 'busybox-static')
    for (const file of readdirSync(folder).filter((each) => each.endsWith('.deb')))
      must('dpkg-deb', ['-x', join(folder, file), root])
    // from trixie on packages have no files outside of /usr
    for (const each of ['bin', 'lib']) if (!existsSync(join(root, each))) symlinkSync(`usr/${each}`, join(root, each))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Fetches what of the kernel is not there yet. */
export function kernelFiles(kernel: DebianKernel): KernelFiles {
  const root = join(cache, kernel.version)
  if (!existsSync(root)) {
    mkdirSync(cache, { recursive: true })
    const unfinished = mkdtempSync(`${root}.`)
    try {
      unpackPackages(kernel, unfinished)
      must('depmod', ['-b', unfinished, releaseOf(unfinished)])
      renameSync(unfinished, root)
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
  const release = releaseOf(root)
  return {
    root,
    release,
    image: join(root, `boot/vmlinuz-${release}`),
    modules: join(root, 'lib/modules', release),
  }
}
