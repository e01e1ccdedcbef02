// A virtual machine under qemu's emulation (no KVM needed) that boots a kernel, has this machine's files as its own, and runs one job.
// What it writes stays in its memory, and is gone with it.
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeInitramfs } from './initramfs.ts'
import type { KernelFiles } from './kernels.ts'

/** `status` is undefined when the machine ended before its job did; `console` is what the kernel said. */
export type Outcome = { readonly status: number | undefined; readonly console: string }

export type Job = {
  /** A shell script. */
  readonly script: string
  readonly onOutput: (chunk: string) => void
  /** Ends the machine. */
  readonly signal: AbortSignal
}

const memoryMiB = 4096
const virtiofsd = '/usr/lib/qemu/virtiofsd'

/** Shares the machine's files with whoever connects to the socket: in a mount namespace of its own, where nobody can write to them. */
const shareScript = `mount --make-rprivate / && mount --rbind / "$1/shared" && mount -o remount,bind,ro "$1/shared" &&
  exec ${virtiofsd} --socket-path="$1/socket" -o source="$1/shared" -o sandbox=chroot -o cache=always -o log_level=warn -f`

/** Arguments of setpriv: the process dies with this one, however that ends. */
const withParent = ['--pdeathsig', 'KILL']

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => resolve())
  })
}

/** The process that serves the files, once it listens. */
async function share(folder: string): Promise<ChildProcess> {
  mkdirSync(join(folder, 'shared'))
  const args = [...withParent, 'unshare', '--mount', 'sh', '-c', shareScript, 'sh', folder]
  const child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.on('error', ({ message }) => (said += message))
  for (let tries = 0; tries < 100; tries++) {
    if (existsSync(join(folder, 'socket'))) return child
    if (child.exitCode !== null || child.pid === undefined) break
    await sleep(50)
  }
  child.kill('SIGKILL')
  throw new Error(`virtiofsd does not serve the files of this machine: ${said.trim()}`)
}

function qemuArgs(files: KernelFiles, initramfs: string, folder: string): string[] {
  // emulation is slow: no watchdog is to bark at it
  const words = `console=ttyS0 loglevel=5 panic=-1 nowatchdog rcupdate.rcu_cpu_stall_suppress=1 inside=${folder}`
  const size = `${memoryMiB}M`
  return [
    ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(Math.min(4, availableParallelism())), '-m', size],
    ['-machine', 'q35,memory-backend=memory', '-object', `memory-backend-memfd,id=memory,size=${size},share=on`],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ['-kernel', files.image, '-initrd', initramfs, '-append', words],
    ['-serial', `file:${folder}/console`, '-serial', 'stdio', '-serial', `file:${folder}/status`],
    ['-chardev', `socket,id=files,path=${folder}/socket`, '-device', 'vhost-user-fs-pci,chardev=files,tag=host'],
  ].flat()
}

function readOr(path: string, otherwise: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : otherwise
}

/** Boots the kernel, runs the job and switches off. Rejects when qemu or the sharing of files cannot start. */
export async function runInside(files: KernelFiles, { script, onOutput, signal }: Job): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-kernel-'))
  try {
    writeFileSync(join(folder, 'job.sh'), script)
    writeFileSync(join(folder, 'modules'), files.modules)
    cpSync(new URL('inside.sh', import.meta.url), join(folder, 'inside.sh'))
    const initramfs = makeInitramfs(files, folder)
    const sharing = await share(folder)
    const args = [...withParent, 'qemu-system-x86_64', ...qemuArgs(files, initramfs, folder)]
    const qemu = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const stop = (): void => void qemu.kill('SIGKILL')
    signal.addEventListener('abort', stop)
    let complaint = ''
    qemu.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    qemu.stdout.setEncoding('utf8').on('data', onOutput)
    try {
      if (signal.aborted) stop()
      await ended(qemu)
    } finally {
      signal.removeEventListener('abort', stop)
      sharing.kill('SIGKILL')
    }
    const status = /^\d+/.exec(readOr(join(folder, 'status'), ''))
    return {
      status: status === null ? undefined : Number(status[0]),
      console: complaint + readOr(join(folder, 'console'), ''),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
