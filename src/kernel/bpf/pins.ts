// Objects in a bpffs: maps, programs and links that exist for as long as their file does.
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, unlinkSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { errorCode } from '#/lib/error-code.ts'
import { BPF_OBJ_GET, BPF_OBJ_PIN } from './commands.ts'
import { BpfError, bpfErrorOf, mustBpf } from './error.ts'

/** BPF_FS_MAGIC of include/uapi/linux/magic.h. */
const bpffsMagic = 0xcafe_4a11

/** Whether the path is in a bpffs. Throws ENOENT. */
export function isBpffs(path: string): boolean {
  // a number of 32 bits, which some architectures give with a sign
  return statfsSync(path).type >>> 0 === bpffsMagic
}

function notBpffs(path: string): BpfError {
  return new BpfError(
    `${path} is in no bpffs: mount one with "mount -t bpf bpf /sys/fs/bpf", or choose a folder in one`,
  )
}

/** Why a bpffs refuses a name, where it is not for want of a right. */
function whyNoPin(path: string): string | undefined {
  if (!isBpffs(dirname(path))) return notBpffs(dirname(path)).message
  return basename(path).includes('.') ? 'a bpffs takes no name with a dot' : undefined
}

function pathBytes(path: string): Uint8Array {
  return new TextEncoder().encode(`${path}\0`)
}

/** Gives an object a name in a bpffs, in a folder that is there. Throws BpfError, EEXIST when the name is taken. */
export function pinObject(fd: number, path: string, what: string): void {
  mustBpf(
    BPF_OBJ_PIN,
    [
      [0, 'in', pathBytes(path)],
      [8, 'u32', fd],
    ],
    `${what}: pin as ${path}`,
    (code) => {
      if (code === 'ENOENT') return 'the folder is not there'
      return code === 'EPERM' ? whyNoPin(path) : undefined
    },
  )
}

/** Opens what is pinned at a path, whatever it is. Throws BpfError: ENOENT when there is nothing, EACCES for any other file. */
export function openPin(path: string): number {
  return mustBpf(BPF_OBJ_GET, [[0, 'in', pathBytes(path)]], `open ${path}`, (code) =>
    code === 'EACCES' ? 'it is no pinned map, program or link' : undefined,
  ).result
}

/** Makes a folder in a bpffs, with those above it. Throws BpfError when that is no bpffs, or refuses a name. */
export function makePinFolder(path: string): void {
  if (existsSync(path)) {
    if (!isBpffs(path)) throw notBpffs(path)
    return
  }
  if (path === dirname(path)) throw notBpffs(path)
  // one by one: a bpffs has rules for names, and each refusal is to name its folder
  makePinFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EEXIST') return
    if (code === undefined) throw error
    throw bpfErrorOf(`make the folder ${path}`, code, code === 'EPERM' ? whyNoPin(path) : undefined)
  }
}

/** The names in a folder, sorted; none when it is not there. */
export function listPins(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Removes a name. The object ends when nothing else holds it. Returns whether there was one. */
export function unpin(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Removes a folder with all that is pinned in it; no error when it is not there. Throws BpfError when it is in no bpffs. */
export function removePinFolder(folder: string): void {
  try {
    if (!isBpffs(folder)) throw notBpffs(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  rmSync(folder, { recursive: true, force: true })
}
