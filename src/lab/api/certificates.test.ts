import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CertificateError, ensureCertificates } from './certificates.ts'

test('certificates are made, kept, and made anew for more names under the same authority', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-pki-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const names = { dnsNames: ['localhost'], addresses: ['127.0.0.1', 'fd00::1'] }
  const first = ensureCertificates(directory, names)
  const certificate = new X509Certificate(first.cert)
  assert.ok(certificate.verify(new X509Certificate(first.ca).publicKey))
  assert.ok(certificate.checkIP('fd00::1') !== undefined && certificate.checkHost('localhost') !== undefined)
  assert.equal(certificate.ca, false)
  assert.equal(statSync(join(directory, 'server.key')).mode & 0o777, 0o600)
  assert.equal(statSync(join(directory, 'ca.key')).mode & 0o777, 0o600)
  assert.deepEqual(ensureCertificates(directory, names), first)
  const second = ensureCertificates(directory, { ...names, dnsNames: ['localhost', 'api.lab'] })
  assert.equal(second.ca, first.ca)
  assert.notEqual(second.cert, first.cert)
  assert.throws(() => ensureCertificates(directory, { dnsNames: ['a,IP:1.2.3.4'], addresses: [] }), CertificateError)
})
