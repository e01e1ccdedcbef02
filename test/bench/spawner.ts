// Executes programs at the least cost there is, and times them from exec to exit: posix_spawn(3) and waitpid(2), called
// directly and blocking. (Node's own child_process takes longer to start /bin/true than a CNI plugin takes to run.)
// The only FFI outside of src/sys: nothing that is shipped needs these calls.
import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { monotonicMs } from './clock.ts'

const libc = koffi.load('libc.so.6')
type Call = (...args: readonly unknown[]) => number
const spawn = libc.func(
  'int posix_spawn(_Out_ int *, const char *, const void *, const void *, const char **, const char **)',
) as Call
const waitpid = libc.func('int waitpid(int, _Out_ int *, int)') as Call
const actionsInit = libc.func('int posix_spawn_file_actions_init(void *)') as Call
const actionsDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *, int, int)') as Call
const actionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *)') as Call
/** sizeof(posix_spawn_file_actions_t) of glibc is 80. */
const actionsBytes = 128

export type Program = {
  readonly path: string
  readonly args?: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Files for standard input and output; the output file is written anew. */
  readonly stdin: string
  readonly stdout: string
}

export type Ended = { readonly durationMs: number; readonly status: number }

function start({ path, args = [], env, stdin, stdout }: Program): number {
  const input = openSync(stdin, 'r')
  const output = openSync(stdout, 'w')
  const actions = Buffer.alloc(actionsBytes)
  actionsInit(actions)
  try {
    actionsDup2(actions, input, 0)
    actionsDup2(actions, output, 1)
    const environment = [...Object.entries(env).map(([name, value]) => `${name}=${value}`), null]
    const pid = [0]
    const errno = spawn(pid, path, actions, null, [path, ...args, null], environment)
    if (errno !== 0) throw new Error(`posix_spawn ${path}: errno ${errno}`)
    return pid[0]!
  } finally {
    actionsDestroy(actions)
    closeSync(input)
    closeSync(output)
  }
}

/** The exit status, or 128 and the signal's number, as shells have it. */
function exitStatusOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal
}

/**
 * Starts all programs, one after the other without waiting, and waits for each to end. Blocks. The result is in the order
 * of the programs; the time of each begins right before its start.
 */
export function runAll(programs: readonly Program[]): Ended[] {
  const started = programs.map((program) => {
    const startedMs = monotonicMs()
    return { pid: start(program), startedMs }
  })
  const waiting = new Map(started.map(({ pid }, index) => [pid, index]))
  const results: Ended[] = []
  while (waiting.size > 0) {
    const status = [0]
    // 0: any child in this process's own group; what the rig has started is in other ones
    const pid = waitpid(0, status, 0)
    const index = waiting.get(pid)
    if (pid < 0) throw new Error('waitpid: a program that was started is gone')
    if (index === undefined) throw new Error(`waitpid: process ${pid} ended, which is none of the programs`)
    waiting.delete(pid)
    results[index] = { durationMs: monotonicMs() - started[index]!.startedMs, status: exitStatusOf(status[0]!) }
  }
  return results
}
