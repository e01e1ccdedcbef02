import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { test } from 'node:test'
import koffi from 'koffi'
import { errnoName } from './errno.ts'

test('the names are those that Node has, and the C library where Node has none', () => {
  const nameOf = koffi.load('libc.so.6').func('const char *strerrorname_np(int)') as (errno: number) => string | null
  // two names for one number: the first is what man pages and Node's own errors say
  const same: Record<string, string> = { EWOULDBLOCK: 'EAGAIN', ENOTSUP: 'EOPNOTSUPP', EDEADLOCK: 'EDEADLK' }
  for (const [name, errno] of Object.entries(constants.errno)) assert.equal(errnoName(errno), same[name] ?? name)
  for (let errno = 1; errno < 140; errno++) {
    const name = nameOf(errno)
    assert.equal(errnoName(errno), name === null ? `errno ${errno}` : (same[name] ?? name))
  }
})

test('an error that only the kernel names has that name, and one without a name has its number', () => {
  assert.equal(errnoName(54), 'EXFULL')
  assert.equal(errnoName(512), 'ERESTARTSYS')
  assert.equal(errnoName(517), 'EPROBE_DEFER')
  assert.equal(errnoName(524), 'ENOTSUPP')
  assert.equal(errnoName(531), 'ENOGRACE')
  for (const errno of [0, 41, 134, 511, 520, 532, 999, -1]) assert.equal(errnoName(errno), `errno ${errno}`)
})
