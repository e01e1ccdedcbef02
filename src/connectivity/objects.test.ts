// What the pods of a connectivity test run, in a shell of this machine.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { podObjects, podPort } from './objects.ts'
import { testNodes } from './testing.ts'

test('the pods answer datagrams, in both families, and connections', async (t) => {
  const [pod] = podObjects('causeway-test', testNodes(1), 'image')
  const [shell, ...args] = pod!.spec.containers[0]!.command
  const ownPort = 18_000 + (process.pid % 10_000)
  const listener = spawn(
    shell!,
    args.map((each) => each.replaceAll(String(podPort), String(ownPort))),
    { stdio: 'inherit' },
  )
  t.after(() => listener.kill())
  const answerFrom = async (address: string): Promise<string | undefined> => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    t.after(() => socket.close())
    socket.send('hello', ownPort, address)
    const answer = once(socket, 'message').then(([text]: string[]) => String(text))
    return Promise.race([answer, sleep(300).then(() => undefined)])
  }
  let isUp = false
  for (let tries = 0; tries < 50 && !isUp; tries++) isUp = (await answerFrom('127.0.0.1')) === 'hello'
  assert.ok(isUp)
  assert.equal(await answerFrom('::1'), 'hello')
  assert.equal((await fetch(`http://127.0.0.1:${ownPort}`)).status, 200)
})
