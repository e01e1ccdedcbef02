// Executions in pods: what runs is a process of this machine, asked for by the cluster client.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { clientFor } from '#/cluster/connect.ts'
import { isApiError } from '#/cluster/errors.ts'
import { ExecError, execIn } from '#/cluster/exec.ts'
import { podsPath } from '#/cluster/paths.ts'
import { type Execute, type ExecRequest } from './exec.ts'
import { TestServer } from './testing.ts'

async function clientOf(server: TestServer, token = server.token): Promise<ApiClient> {
  const inline = (content: string, field: string) => ({ kind: 'inline', text: content, field }) as const
  const ca = inline(server.certificates.ca, 'ca')
  return clientFor({ server: new URL(server.url), insecure: false, ca, token: inline(token, 'token') })
}

/** A server with a pod in which these are executed. */
async function withPod(execute: Execute, use: (client: ApiClient, server: TestServer) => Promise<void>): Promise<void> {
  await using server = await TestServer.start({ execute })
  await using client = await clientOf(server)
  const containers = [{ name: 'c', image: 'i' }]
  await client.create(podsPath('default'), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: { nodeName: 'n', containers },
  })
  await use(client, server)
}

const target = { namespace: 'default', pod: 'a', container: 'c', command: ['run', 'it'] }
const shell = (script: string): Execute => {
  return () => spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'] })
}

test('a process has the streams of the client, and its end is the end of them', async () => {
  const asked: ExecRequest[] = []
  const execute: Execute = (request) => {
    asked.push(request)
    return spawn('head', ['-c', '5'], { stdio: ['pipe', 'pipe', 'pipe'] })
  }
  await withPod(execute, async (client) => {
    const stream = await execIn(client, target)
    stream.write('hello, world')
    assert.equal(await text(stream), 'hello')
  })
  assert.deepEqual(
    asked.map(({ pod, container, command }) => [pod.metadata.name, container, command]),
    [['a', 'c', ['run', 'it']]],
  )
})

test('much output comes whole', async () => {
  await withPod(shell('head -c 20000000 /dev/zero'), async (client) => {
    let bytes = 0
    for await (const chunk of (await execIn(client, target)) as AsyncIterable<Uint8Array>) bytes += chunk.length
    assert.equal(bytes, 20_000_000)
  })
})

test('a process that fails is told with its status and its words, one that cannot be started with those of a runtime', async () => {
  const cases: [Execute, string][] = [
    [shell('echo it hurts >&2; exit 3'), 'it hurts'],
    [() => ({ failure: 'no such container' }), 'no such container'],
    [() => spawn('/nonexistent'), 'error executing command in container: spawn /nonexistent ENOENT'],
    [shell('kill -9 $$'), 'command was ended by a signal'],
  ]
  for (const [execute, words] of cases)
    await withPod(execute, async (client) => {
      await assert.rejects(text(await execIn(client, target)), (error) => {
        assert.ok(error instanceof ExecError && error.status !== undefined)
        assert.equal(error.message, words)
        return true
      })
    })
})

test('a client that leaves closes the input of its process, and an open execution does not hold up the end of the server', async () => {
  const started = Promise.withResolvers<ReturnType<typeof spawn>>()
  const execute: Execute = () => {
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'pipe'] })
    started.resolve(child)
    return child
  }
  await withPod(execute, async (client) => {
    const stream = await execIn(client, target)
    const child = await started.promise
    const exited = once(child, 'exit')
    stream.destroy()
    assert.deepEqual(await exited, [0, null])
    const open = await execIn(client, target)
    open.on('error', () => {})
  })
})

test('who may not, and what is not there, is refused before anything is executed', async () => {
  const execute: Execute = () => assert.fail('it was executed')
  await withPod(execute, async (client, server) => {
    await using stranger = await clientOf(server, 'nonsense')
    await assert.rejects(execIn(stranger, target), (error) => isApiError(error, 401))
    await assert.rejects(execIn(client, { ...target, pod: 'b' }), (error) => isApiError(error, 404))
    await assert.rejects(execIn(client, { ...target, command: [] }), (error) => isApiError(error, 400))
    const old = client.webSocket('/api/v1/namespaces/default/pods/a/exec?command=x', { protocols: ['channel.k8s.io'] })
    await assert.rejects(old, (error) => isApiError(error, 400))
    const elsewhere = client.webSocket('/api/v1/namespaces/default/pods/a/attach', { protocols: ['v5.channel.k8s.io'] })
    await assert.rejects(elsewhere, (error) => isApiError(error, 404))
  })
})
