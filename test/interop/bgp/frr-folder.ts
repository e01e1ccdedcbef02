// A folder in which FRR's daemons of one router live: their configuration, sockets and logs, how one is started, and vtysh.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, DaemonProcess } from './daemon-process.ts'
import { type Host } from './lan.ts'

const programs = '/usr/lib/frr'

export class FrrFolder implements Disposable {
  readonly #host: Host
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-frr-'))

  constructor(host: Host) {
    this.#host = host
    this.write('group', readFileSync('/etc/group', 'utf8').replace(/^frrvty:.*:(.*)$/m, '$&,root'))
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  /** A daemon's configuration is "NAME.conf", which must be there when it starts. */
  write(name: string, text: string): void {
    writeFileSync(this.#path(name), text)
  }

  /**
   * As root, although they want root to be of the group of FRR's consoles: a process that changes its user would lose the
   * parent-death signal, and outlive a test that is killed.
   */
  daemon(name: 'bgpd' | 'zebra' | 'bfdd'): DaemonProcess {
    const program = [`${programs}/${name}`, '-u', 'root', '-g', 'root', '-f', this.#path(`${name}.conf`)]
    const places = ['-i', this.#path(`${name}.pid`), '-z', this.#path('zserv.api'), '--vty_socket', this.#folder]
    if (name === 'bfdd') places.push('--bfdctl', this.#path('bfdd.sock'))
    const inOwnMounts = `mount --bind ${this.#path('group')} /etc/group; exec "$@"`
    const command = ['unshare', '-m', 'sh', '-c', inOwnMounts, 'sh', ...program, ...places, '--log', 'stdout']
    return new DaemonProcess(this.#host.ns.netns, command, this.#path(`${name}.log`))
  }

  /** What the commands print, of whichever daemons run. */
  async vtysh(...commands: readonly string[]): Promise<string> {
    const program = ['vtysh', '--vty_socket', this.#folder]
    return ask(this.#host, [...program, ...commands.flatMap((command) => ['-c', command])])
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
