// The lab's certificate authority and serving certificates, made by openssl: ECDSA P-256, kept in a directory.
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Addr } from '#/lib/addr.ts'

export type Names = { readonly dnsNames: readonly string[]; readonly addresses: readonly string[] }

/** PEM texts: the authority's certificate, and the server's key and certificate. */
export type Certificates = { readonly ca: string; readonly key: string; readonly cert: string }

/** openssl could not make a certificate. */
export class CertificateError extends Error {
  override name = 'CertificateError'
}

const caDays = 3650
const servingDays = 365
const renewBeforeMs = 24 * 60 * 60 * 1000

/**
 * The certificates in `directory`. Missing ones, those about to expire, and those that do not cover all names are made anew. The authority
 * stays as long as it is valid, so that clients go on trusting it. Throws CertificateError.
 */
export function ensureCertificates(directory: string, names: Names): Certificates {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const paths = {
    caKey: join(directory, 'ca.key'),
    ca: join(directory, 'ca.crt'),
    key: join(directory, 'server.key'),
    cert: join(directory, 'server.crt'),
  }
  const read = (): Certificates => ({
    ca: readFileSync(paths.ca, 'utf8'),
    key: readFileSync(paths.key, 'utf8'),
    cert: readFileSync(paths.cert, 'utf8'),
  })
  if (!existsSync(paths.caKey) || !isCurrent(paths.ca)) makeAuthority(paths)
  if (!existsSync(paths.key) || !isCurrent(paths.cert) || !serves(paths, names)) makeServing(paths, names)
  return read()
}

type Paths = { readonly caKey: string; readonly ca: string; readonly key: string; readonly cert: string }

function load(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(path))
  } catch {
    // a missing or damaged certificate is made anew
    return undefined
  }
}

function isCurrent(path: string): boolean {
  const certificate = load(path)
  return certificate !== undefined && certificate.validToDate.getTime() - Date.now() > renewBeforeMs
}

function serves({ ca, cert }: Paths, { dnsNames, addresses }: Names): boolean {
  const certificate = load(cert)
  const issuer = load(ca)
  if (certificate === undefined || issuer === undefined || !certificate.verify(issuer.publicKey)) return false
  return (
    dnsNames.every((name) => certificate.checkHost(name) !== undefined) &&
    addresses.every((address) => certificate.checkIP(address) !== undefined)
  )
}

function openssl(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' })
  if (error !== undefined)
    throw new CertificateError('cannot run openssl; install the Debian package openssl', { cause: error })
  if (status !== 0) throw new CertificateError(`openssl ${args[0]} failed: ${stderr.trim()}`)
}

/** Writes to a temporary file and renames it, so that a crash leaves no partial file. */
function place(path: string, make: (temporary: string) => void): void {
  const temporary = `${path}.new`
  try {
    // the file gets its mode before a secret is written to it
    writeFileSync(temporary, '', { mode: path.endsWith('.key') ? 0o600 : 0o644 })
    make(temporary)
    chmodSync(temporary, path.endsWith('.key') ? 0o600 : 0o644)
    renameSync(temporary, path)
  } finally {
    rmSync(temporary, { force: true })
  }
}

function makeKey(path: string): void {
  place(path, (file) => openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file))
}

function makeAuthority({ caKey, ca }: Paths): void {
  makeKey(caKey)
  const usage = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign']
  place(ca, (file) =>
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      caKey,
      '-days',
      String(caDays),
      '-subj',
      '/CN=causeway-lab-ca',
      ...usage,
      '-out',
      file,
    ),
  )
}

function makeServing({ caKey, ca, key, cert }: Paths, { dnsNames, addresses }: Names): void {
  makeKey(key)
  const alternatives = [
    ...dnsNames.map((name) => `DNS:${checkedName(name)}`),
    ...addresses.map((address) => `IP:${Addr.parse(address)}`),
  ]
  const usage = [
    `subjectAltName=${alternatives.join(',')}`,
    'extendedKeyUsage=serverAuth',
    'keyUsage=critical,digitalSignature',
    'basicConstraints=critical,CA:FALSE',
  ]
  place(cert, (file) =>
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      key,
      '-CA',
      ca,
      '-CAkey',
      caKey,
      '-days',
      String(servingDays),
      '-subj',
      '/CN=kube-apiserver',
      ...usage.flatMap((line) => ['-addext', line]),
      '-out',
      file,
    ),
  )
}

/** Checks a name for openssl's configuration syntax, in which commas and colons have a meaning. */
function checkedName(name: string): string {
  if (/^[A-Za-z0-9*]([-A-Za-z0-9.]*[A-Za-z0-9])?$/.test(name)) return name
  throw new CertificateError(`"${name}" is no DNS name for a certificate`)
}
