import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { KernelFiles } from './kernels.ts'
import { must } from './must.ts'

/** init.sh reads the machine's root with these; others are loaded when the kernel asks for them. */
const modulesOfInit = ['virtio_pci', 'virtiofs', 'overlay']

/** Paths of the modules and of those that they need, in the order of loading; none where they are built into the kernel. */
function moduleFiles({ root, release }: KernelFiles): ReadonlySet<string> {
  const shown = modulesOfInit.map((module) => must('modprobe', ['-d', root, '-S', release, '--show-depends', module]))
  return new Set([...shown.join('\n').matchAll(/^insmod (\S+)/gm)].map(([, file]) => file!))
}

/** Makes the archive that the kernel unpacks as its first root; `folder` is empty. Returns its path. */
export function makeInitramfs(files: KernelFiles, folder: string): string {
  const tree = join(folder, 'initramfs')
  for (const each of ['bin', 'modules', 'host', 'memory', 'machine', 'proc'])
    mkdirSync(join(tree, each), { recursive: true })
  const busybox = join(files.root, 'bin/busybox')
  cpSync(busybox, join(tree, 'bin/busybox'))
  cpSync(new URL('init.sh', import.meta.url), join(tree, 'init'))
  chmodSync(join(tree, 'init'), 0o755)
  const order: string[] = []
  for (const file of moduleFiles(files)) {
    const name = basename(file, '.xz')
    if (file.endsWith('.xz')) must('sh', ['-c', 'xz -dc "$1" >"$2"', 'sh', file, join(tree, 'modules', name)])
    else cpSync(file, join(tree, 'modules', name))
    order.push(name)
  }
  writeFileSync(join(tree, 'modules/order'), order.map((name) => `${name}\n`).join(''))
  const archive = join(folder, 'initramfs.gz')
  must('sh', ['-c', 'find . | "$1" cpio -o -H newc | gzip -1 >"$2"', 'sh', busybox, archive], tree)
  return archive
}
