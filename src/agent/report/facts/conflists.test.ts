import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConflists } from './conflists.ts'

test('configurations are told in the order of the runtime, by name and plugins, and nothing else that is in them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-conflists-'))
  try {
    const put = (name: string, value: unknown): void =>
      writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value))
    put('20-other.conflist', {
      name: 'calico',
      plugins: [
        { type: 'calico', kubernetes: { token: 'planted-token', kubeconfig: '/x' } },
        { type: 'portmap' },
        { type: 'a name with planted-token' },
        null,
        7,
      ],
    })
    put('10-causeway.conflist', { name: 'causeway', plugins: [{ type: 'causeway-cni', env: 'planted-token' }] })
    put('05-single.conf', { name: 'planted token', type: 'bridge', password: 'planted-token' })
    put('30-broken.json', '{"planted-token')
    put('README', 'planted-token')
    mkdirSync(join(folder, '40-folder.conf'))
    // nobody writes into it
    execFileSync('mkfifo', [join(folder, '50-pipe.conf')])
    const found = readConflists(folder)
    assert.deepEqual(found, [
      { file: '05-single.conf', plugins: ['bridge'], isOurs: false },
      { file: '10-causeway.conflist', network: 'causeway', plugins: ['causeway-cni'], isOurs: true },
      { file: '20-other.conflist', network: 'calico', plugins: ['calico', 'portmap'], isOurs: false },
      { file: '30-broken.json', plugins: [], isOurs: false },
      { file: '40-folder.conf', plugins: [], isOurs: false },
      { file: '50-pipe.conf', plugins: [], isOurs: false },
    ])
    assert.deepEqual(readConflists(join(folder, 'none')), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
