// Speakers under load: ours, BIRD, FRR's bgpd and GoBGP, each with all of its neighbours in its configuration. They wait for
// connections, take and give everything, and touch no kernel routes.
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { DaemonProcess } from '../interop/bgp/daemon-process.ts'
import { type BenchNetns } from './netns.ts'
import { causeway, type ProcessUse, useOf } from './processes.ts'

export type LoadPeer = { readonly addr: string; readonly asn: number }

export const speakerAddr = '10.99.0.1'
const speakerAsn = 64_512
const holdTimeSeconds = 90

/** Addresses of one network that is local as a whole: all sessions stay on the loopback device. */
export function loadPeers(count: number): LoadPeer[] {
  return Array.from({ length: count }, (_, index) => ({
    addr: `10.99.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`,
    asn: 4_200_000_000 + index,
  }))
}

export function prepareHost(host: BenchNetns): void {
  host.sh(`ip addr add ${speakerAddr}/16 dev lo`)
}

function causewayConfig(peers: readonly LoadPeer[]): string {
  const everything = { rules: [], otherwise: 'accept' }
  return JSON.stringify({
    asn: speakerAsn,
    routerId: speakerAddr,
    peers: peers.map(({ addr, asn }) => ({
      name: addr,
      addr,
      remoteAsn: asn,
      mode: 'passive',
      timers: { holdTimeSeconds },
      importPolicy: everything,
      exportPolicy: everything,
    })),
  })
}

function birdConfig(peers: readonly LoadPeer[]): string {
  const protocols = peers.map(
    ({ addr, asn }, index) => `protocol bgp p${index} {
  local ${speakerAddr} as ${speakerAsn}; neighbor ${addr} as ${asn}; passive on; hold time ${holdTimeSeconds};
  connect delay time 0; error wait time 1, 1; ipv4 { import all; export all; };
}`,
  )
  return [
    'log stderr { fatal };',
    `router id ${speakerAddr};`,
    'protocol device { scan time 60; }',
    ...protocols,
    '',
  ].join('\n')
}

function frrConfig(peers: readonly LoadPeer[]): string {
  const group = (line: string): string => `neighbor load ${line}`
  return [
    'frr defaults datacenter',
    `router bgp ${speakerAsn}`,
    `bgp router-id ${speakerAddr}`,
    'no bgp ebgp-requires-policy',
    'no bgp default ipv4-unicast',
    'no bgp log-neighbor-changes',
    'neighbor load peer-group',
    ...['passive', 'disable-connected-check', `timers ${holdTimeSeconds / 3} ${holdTimeSeconds}`].map(group),
    ...peers.flatMap(({ addr, asn }) => [`neighbor ${addr} remote-as ${asn}`, `neighbor ${addr} peer-group load`]),
    'address-family ipv4 unicast',
    group('activate'),
    '',
  ].join('\n')
}

function gobgpConfig(peers: readonly LoadPeer[]): string {
  return stringify({
    global: { config: { as: speakerAsn, 'router-id': speakerAddr, port: 179 } },
    neighbors: peers.map(({ addr, asn }) => ({
      config: { 'neighbor-address': addr, 'peer-as': asn },
      transport: { config: { 'passive-mode': true } },
      timers: {
        config: {
          'hold-time': holdTimeSeconds,
          'keepalive-interval': holdTimeSeconds / 3,
          'idle-hold-time-after-reset': 1,
        },
      },
    })),
  })
}

export type SpeakerKind = {
  readonly name: string
  readonly config: (peers: readonly LoadPeer[]) => string
  /** `dir` is its own; `config` is its file. */
  readonly command: (dir: string, config: string) => readonly string[]
}

/** The first is ours. */
export const speakerKinds: readonly SpeakerKind[] = [
  {
    name: 'Causeway',
    config: causewayConfig,
    command: (dir, config) => [
      'env',
      `CAUSEWAY_RUN_DIR=${dir}`,
      ...causeway,
      'bgp',
      'speak',
      '--log-level',
      'error',
      config,
    ],
  },
  { name: 'BIRD', config: birdConfig, command: (dir, config) => ['bird', '-f', '-c', config, '-s', join(dir, 'ctl')] },
  {
    name: 'FRR',
    config: frrConfig,
    command: (dir, config) => [
      ...'/usr/lib/frr/bgpd -Z -S -u root -g root --log stdout --log-level error -f'.split(' '),
      config,
      '-i',
      join(dir, 'pid'),
      '--vty_socket',
      dir,
    ],
  },
  {
    name: 'GoBGP',
    config: gobgpConfig,
    command: (_, config) => [
      ...'gobgpd -t yaml --api-hosts 127.0.0.1:50051 --pprof-disable -l error -f'.split(' '),
      config,
    ],
  },
]

/** A speaker that runs, with a folder of its own. */
export class BenchSpeaker implements AsyncDisposable {
  readonly #process: DaemonProcess

  constructor(kind: SpeakerKind, host: BenchNetns, dir: string, peers: readonly LoadPeer[]) {
    const config = join(dir, 'config')
    writeFileSync(config, kind.config(peers))
    this.#process = new DaemonProcess(host.netns, kind.command(dir, config), join(dir, 'log'))
    this.#process.start()
  }

  get use(): ProcessUse {
    return useOf(this.#process.pid)
  }

  mustRun(): void {
    this.#process.mustRun()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
  }
}
