// BFD with BIRD and FRR: both sides come up, agree on intervals, see a cut, and tell when they are shut down.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { BfdThread } from '../netns/bfd-thread.ts'
import { ask, DaemonProcess } from './bgp/daemon-process.ts'
import { eventually } from './bgp/eventually.ts'
import { FrrFolder } from './bgp/frr-folder.ts'
import { type Host, Lan } from './bgp/lan.ts'

/** A silence of two seconds is one of the network and not of a busy machine. */
const settings = { intervalMs: 100, detectMultiplier: 20 }
const detectMs = settings.intervalMs * settings.detectMultiplier
/** What a machine that does much else may add. */
const slackMs = 8_000

/** A daemon's view of a neighbour; how long it waits for us before it takes us for gone. */
type View = { readonly isUp: boolean; readonly detectMs: number }

/** A daemon with a BFD session to each of a host's addresses, at 20 times 100 ms. */
interface Daemon extends AsyncDisposable {
  start(): Promise<void>
  views(): Promise<ReadonlyMap<string, View>>
  kill(): Promise<void>
  /** Shuts its sessions down by its configuration. */
  shutDown?(addr: string): Promise<void>
}

class Bird implements Daemon {
  readonly #host: Host
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-bird-'))
  readonly #process: DaemonProcess

  constructor(host: Host, neighbour: Host) {
    this.#host = host
    const config = this.#path('conf')
    writeFileSync(
      config,
      `log stderr all;
router id ${host.addr4};
protocol device {}
protocol bfd {
  interface "*" { min rx interval 100 ms; min tx interval 100 ms; multiplier ${settings.detectMultiplier}; };
  neighbor ${neighbour.addr4};
  neighbor ${neighbour.addr6};
  neighbor ${neighbour.linkLocal} dev "eth0";
}
`,
    )
    this.#process = new DaemonProcess(
      host.ns.netns,
      ['bird', '-f', '-c', config, '-s', this.#path('ctl')],
      this.#path('log'),
    )
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  async start(): Promise<void> {
    this.#process.start()
    await eventually(
      'birdc answers',
      () => this.views(),
      ({ size }) => size === 3,
      { explain: () => this.#process.logTail() },
    )
  }

  async views(): Promise<ReadonlyMap<string, View>> {
    this.#process.mustRun()
    const text = await ask(this.#host, ['birdc', '-s', this.#path('ctl'), 'show', 'bfd', 'sessions'])
    // address, interface, state, since, interval and timeout in seconds
    const rows = text.matchAll(/^([\d.a-f:]+)\s+eth0\s+(\w+)\s+\S+\s+[\d.]+\s+([\d.]+)$/gm)
    return new Map(
      [...rows].map(([, addr, state, timeout]) => [addr!, { isUp: state === 'Up', detectMs: Number(timeout) * 1000 }]),
    )
  }

  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

type FrrPeer = {
  readonly peer: string
  readonly status: string
  readonly 'receive-interval': number
  readonly 'remote-transmit-interval': number
  readonly 'remote-detect-multiplier': number
}

class Frr implements Daemon {
  readonly #folder: FrrFolder
  readonly #zebra: DaemonProcess
  readonly #bfdd: DaemonProcess

  constructor(host: Host, neighbour: Host) {
    this.#folder = new FrrFolder(host)
    this.#folder.write('zebra.conf', '')
    const peers = [neighbour.addr4, neighbour.addr6, `${neighbour.linkLocal} interface eth0`]
    const lines = peers.flatMap((peer) => [
      `peer ${peer}`,
      `detect-multiplier ${settings.detectMultiplier}`,
      'receive-interval 100',
      'transmit-interval 100',
      'exit',
    ])
    this.#folder.write('bfdd.conf', ['bfd', ...lines, 'exit', ''].join('\n'))
    this.#zebra = this.#folder.daemon('zebra')
    this.#bfdd = this.#folder.daemon('bfdd')
  }

  async start(): Promise<void> {
    for (const daemon of [this.#zebra, this.#bfdd]) if (!daemon.isStarted) daemon.start()
    await eventually(
      'bfdd answers',
      () => this.views(),
      ({ size }) => size === 3,
      { explain: () => this.#bfdd.logTail() },
    )
  }

  async views(): Promise<ReadonlyMap<string, View>> {
    this.#bfdd.mustRun()
    const peers = JSON.parse(await this.#folder.vtysh('show bfd peers json')) as readonly FrrPeer[]
    return new Map(
      peers.map((peer) => [
        peer.peer,
        {
          isUp: peer.status === 'up',
          detectMs:
            peer['remote-detect-multiplier'] * Math.max(peer['receive-interval'], peer['remote-transmit-interval']),
        },
      ]),
    )
  }

  async kill(): Promise<void> {
    await this.#bfdd.end('SIGKILL')
  }

  async shutDown(addr: string): Promise<void> {
    await this.#folder.vtysh('configure terminal', 'bfd', `peer ${addr}`, 'shutdown')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of [this.#bfdd, this.#zebra]) await each[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}

const daemons: Readonly<Record<string, (host: Host, neighbour: Host) => Daemon>> = {
  BIRD: (host, neighbour) => new Bird(host, neighbour),
  FRR: (host, neighbour) => new Frr(host, neighbour),
}

for (const [name, make] of Object.entries(daemons)) {
  test(`BFD with ${name}`, { timeout: 120_000 }, async () => {
    using lan = new Lan()
    const [us, them] = [lan.host(), lan.host()]
    await using daemon = make(them, us)
    await daemon.start()
    await using thread = new BfdThread(us.ns.path)
    const peers = [{ addr: them.addr4, localAddr: us.addr4 }, { addr: them.addr6 }]
    const watches = [...peers, { addr: them.linkLocal, device: 'eth0' }].map((peer) => thread.watch(peer, settings))
    const ours = [us.addr4, us.addr6, us.linkLocal]
    const theyAllSee = (what: string, isIt: (view: View) => boolean): Promise<unknown> =>
      eventually(
        `${name} sees us ${what}`,
        () => daemon.views(),
        (views) => ours.every((addr) => isIt(views.get(addr)!)),
      )
    const weAllSee = async (state: 'Up' | 'Down'): Promise<void> => {
      for (const { history } of watches) await history.reaches(state)
    }

    await weAllSee('Up')
    // also what was agreed on by the Poll Sequence that follows
    await theyAllSee('up at 20 times 100 ms', (view) => view.isUp && view.detectMs === detectMs)

    const cutMs = Date.now()
    lan.plug(them, 'down')
    await weAllSee('Down')
    for (const { history } of watches) {
      const { atMs, diagnostic } = history.changes.at(-1)!
      assert.equal(diagnostic, 1)
      assert.ok(atMs - cutMs < detectMs + slackMs, `noticed after ${atMs - cutMs} ms`)
    }
    await theyAllSee('down', ({ isUp }) => !isUp)
    lan.plug(them, 'up')
    await weAllSee('Up')
    await theyAllSee('up again', (view) => view.isUp && view.detectMs === detectMs)

    // our own end is not taken for the path's
    const [first] = watches
    thread.unwatch(first!.id)
    await eventually(
      `${name} sees that nobody watches it`,
      () => daemon.views(),
      (views) => !views.get(us.addr4)!.isUp,
    )
    const again = thread.watch(peers[0]!, settings)
    await again.history.reaches('Up')

    if (daemon.shutDown) {
      await daemon.shutDown(us.addr6)
      assert.equal((await watches[1]!.history.reaches('AdminDown')).diagnostic, 3)
    }

    const killedMs = Date.now()
    await daemon.kill()
    const { atMs, diagnostic } = await again.history.reaches('Down')
    assert.equal(diagnostic, 1)
    assert.ok(atMs - killedMs < detectMs + slackMs, `noticed after ${atMs - killedMs} ms`)
    await daemon.start()
    await again.history.reaches('Up')
  })
}
