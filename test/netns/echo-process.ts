// Connections that have to live through what happens to a node: `serve ADDR PORT` answers each byte with the same, `ask ADDR PORT PERIOD_MS`
// sends one, waits for the answer, and so on until its input ends. Then it prints how many answers came, and how long the slowest took.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [mode, host, port, periodMs] = process.argv.slice(2)
const answerMs = 10_000

async function ask(): Promise<void> {
  const socket = connect({ host: host!, port: Number(port), noDelay: true })
  const ended = once(process.stdin.resume(), 'end').then(() => true)
  await once(socket, 'connect')
  console.log('connected')
  let [answers, slowestMs] = [0, 0]
  for (let isEnd = false; !isEnd;) {
    const startedMs = performance.now()
    socket.write('x')
    await once(socket, 'data', { signal: AbortSignal.timeout(answerMs) })
    answers++
    slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    isEnd = await Promise.race([ended, sleep(Number(periodMs), false)])
  }
  console.log(JSON.stringify({ answers, slowestMs }))
  process.exit(0)
}

if (mode === 'serve') {
  const server = createServer({ noDelay: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  server.listen(Number(port), host, () => console.log('serving'))
} else await ask()
