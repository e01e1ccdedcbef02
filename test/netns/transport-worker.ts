// A thread that connects to an address, says who it is, and tells what it hears. For bgp-transport.test.ts.
import { parentPort, workerData } from 'node:worker_threads'
import { TcpTransport } from '#/agent/bgp/transport.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { Netns } from '#/sys/netns.ts'

const { netns, addr, password } = workerData as { netns: string; addr: string; password: string }
const port = parentPort!
using place = new Netns(netns)
const transport = new TcpTransport({ log: silent })
const connecting = place.run(() =>
  transport.connect({ addr: Addr.parse(addr), port: 179, password }, new AbortController().signal),
)
const connection = await connecting
connection.handlers = {
  onData: (bytes) => port.postMessage(Buffer.from(bytes).toString()),
  onDrain() {},
  onClose() {},
}
connection.write(Buffer.from('from a thread'))
