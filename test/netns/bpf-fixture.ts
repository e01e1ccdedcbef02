// For tests of eBPF: the compiled programs of test/fixtures/bpf, and a bpffs of their own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { libc } from '#/sys/libc.ts'

const source = new URL('../fixtures/bpf/probe.bpf.c', import.meta.url).pathname
const compiled = new Map<string, Uint8Array>()

/** The object file of probe.bpf.c, compiled with these macros defined. */
export function probeObject(...macros: ('REFUSED' | 'MISSING_FUNCTION')[]): Uint8Array {
  const known = compiled.get(macros.join())
  if (known !== undefined) return known
  const folder = mkdtempSync(join(tmpdir(), 'bpf-'))
  try {
    const file = join(folder, 'probe.bpf.o')
    const { status, stderr } = spawnSync(
      'sh',
      [
        '-c',
        `exec clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/$(uname -m)-linux-gnu "$@"`,
        'clang',
        ...macros.map((macro) => `-D${macro}`),
        '-c',
        source,
        '-o',
        file,
      ],
      { encoding: 'utf8' },
    )
    assert.equal(status, 0, stderr)
    const bytes = readFileSync(file)
    compiled.set(macros.join(), bytes)
    return bytes
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A bpffs at a path of its own. What is pinned in it ends with it. */
export class TestBpffs implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'bpffs-'))

  constructor() {
    libc('mount', ['bpf', this.path, 'bpf', 0, null], this.path)
  }

  [Symbol.dispose](): void {
    const MNT_DETACH = 2
    libc('umount2', [this.path, MNT_DETACH], this.path)
    rmSync(this.path, { recursive: true })
  }
}
