import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusedByPlace } from './admission.ts'

const statusOf = (port: number, host: string, origin?: string): number | undefined =>
  refusedByPlace({ method: 'GET', url: '/', headers: { host, ...(origin !== undefined && { origin }) } }, port)?.status

test('at the port of HTTP itself browsers name none', () => {
  assert.equal(statusOf(80, '127.0.0.1'), undefined)
  assert.equal(statusOf(80, 'localhost', 'http://localhost'), undefined)
  assert.equal(statusOf(80, '127.0.0.1:80'), undefined)
  assert.equal(statusOf(80, 'evil.example'), 403)
  assert.equal(statusOf(80, '127.0.0.1', 'http://evil.example'), 403)
  assert.equal(statusOf(8080, '127.0.0.1'), 403)
})
