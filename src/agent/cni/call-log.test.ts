import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '#/lib/log.ts'
import { type CniOperation, type CniReply, parseCniRequest } from '#/wire/cni/index.ts'
import { CallLog } from './call-log.ts'

function request(command: string, containerId = 'c1'): CniOperation {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: '/run/netns/a',
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web',
  }
  const config = { cniVersion: '1.1.0', name: 'podnet', type: 'causeway-cni' }
  const parsed = parseCniRequest(new Map(Object.entries(env)), Buffer.from(JSON.stringify(config)))
  assert.ok(parsed.kind !== 'version' && parsed.kind !== 'error', JSON.stringify(parsed))
  return parsed
}

const ok: CniReply = { kind: 'ok' }
const failed = (msg: string): CniReply => ({ kind: 'error', error: { code: 11, msg, details: '' } })
const waited = new AbortController().signal

class Scene {
  readonly lines: string[] = []
  readonly log = new CallLog(
    createLogger({
      level: 'info',
      write: (line) => {
        const { level, command, msg, error, unanswered } = JSON.parse(line) as Record<string, string>
        this.lines.push([level, command, msg ?? error, unanswered].filter(Boolean).join(' '))
      },
      now: () => '',
    }),
  )

  end(operation: CniOperation, reply: CniReply, signal = waited): void {
    this.log.ended(operation, reply, { startedMs: performance.now(), signal })
  }
}

test('a call for a pod is one line, whatever its outcome', () => {
  const scene = new Scene()
  const gone = AbortSignal.abort(new Error('the caller hung up'))
  scene.end(request('ADD'), ok)
  scene.end(request('ADD'), failed('no address'))
  scene.end(request('ADD'), failed('no address'))
  scene.end(request('ADD'), ok, gone)
  scene.log.threw(request('ADD'), new Error('EBUSY'), { startedMs: 0, signal: waited })
  scene.end(request('DEL'), ok)
  assert.deepEqual(scene.lines, [
    'info add',
    'warn add no address',
    'warn add no address',
    'warn add the caller hung up',
    'error add EBUSY',
    'info del',
  ])
})

test('a runtime that asks for the STATUS every few seconds fills no log; how it changes is told', () => {
  const scene = new Scene()
  for (const reply of [ok, ok, failed('no CIDR'), failed('no CIDR'), failed('no bridge'), ok, ok, failed('no CIDR')])
    scene.end(request('STATUS'), reply)
  assert.deepEqual(scene.lines, ['warn status no CIDR', 'warn status no bridge', 'info status', 'warn status no CIDR'])
})

test('a DEL that is tried until it succeeds is told when it fails first, or in another way, and when it is done', () => {
  const scene = new Scene()
  for (const reply of [failed('busy'), failed('busy'), failed('busy'), failed('EIO'), ok]) {
    scene.end(request('DEL'), reply)
    scene.end(request('DEL', 'c2'), ok)
  }
  assert.deepEqual(
    scene.lines.filter((line) => line !== 'info del'),
    ['warn del busy', 'warn del EIO'],
  )
  assert.equal(scene.lines.length, 2 + 1 + 5)
})

test('no more failures are remembered than are of use', () => {
  const scene = new Scene()
  for (let pod = 0; pod <= 1024; pod++) scene.end(request('DEL', `c${pod}`), failed('busy'))
  scene.end(request('DEL', 'c1024'), failed('busy'))
  scene.end(request('DEL', 'c0'), failed('busy'))
  assert.equal(scene.lines.length, 1026)
})
