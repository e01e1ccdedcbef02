// A thread that lives in a namespace and watches neighbours there. bfd-thread.ts is its other side.
import { parentPort, workerData } from 'node:worker_threads'
import { UdpBfdTransport } from '#/agent/bgp/bfd-transport.ts'
import { systemClock } from '#/agent/bgp/system-clock.ts'
import { BfdService, type BfdWatch } from '#/bgp/bfd/service.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { libc } from '#/sys/libc.ts'
import { Netns } from '#/sys/netns.ts'
import { type FromBfdThread, type ToBfdThread } from './bfd-thread.ts'

const CLONE_NEWNET = 0x40000000
const port = parentPort!
using place = new Netns((workerData as { netns: string }).netns)
// for good: the thread ends before it would be anywhere else
libc('setns', [place.fd, CLONE_NEWNET])

const transport = new UdpBfdTransport({ log: silent })
const service = new BfdService({ transport, clock: systemClock, log: silent })
const watches = new Map<string, BfdWatch>()
const tell = (message: FromBfdThread): void => port.postMessage(message)

port.on('message', (message: ToBfdThread) => {
  switch (message.kind) {
    case 'watch': {
      const { addr, localAddr, device, settings, id } = message
      const path = {
        addr: Addr.parse(addr),
        ...(localAddr !== undefined && { localAddr: Addr.parse(localAddr) }),
        ...(device !== undefined && { device }),
      }
      const watch = service.watch(path, settings, (state, diagnostic) =>
        tell({ id, state, diagnostic, atMs: Date.now() }),
      )
      watches.set(id, watch)
      return
    }
    case 'unwatch':
      watches.get(message.id)![Symbol.dispose]()
      return
    case 'stall':
      // as an event loop that has something long to do
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, message.ms)
      return
    case 'stop':
      service[Symbol.dispose]()
      port.close()
      return
    default:
      message satisfies never
  }
})
