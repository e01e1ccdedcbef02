import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LabSpec } from '#/lab/spec.ts'
import { UsageError } from './args.ts'
import { readUpOptions } from './lab-options.ts'

function specOf(options: string, before?: LabSpec): LabSpec {
  return readUpOptions(options.split(' ').filter(Boolean), () => before).spec
}

const made = '--name x --nodes 4 --pods 1 --families ipv4 --cluster-cidrs 10.9.0.0/16 --mtu 1400'

test('up of a lab that is there has the options that it was made with', () => {
  for (const options of [
    `${made} --subnets 2 --routing auto --mesh full`,
    `${made} --racks 2 --tors 2 --router frr --node-asns rack --bfd --routing native`,
    '--name x',
  ]) {
    const before = specOf(options)
    assert.deepEqual(specOf('--name x', before), before)
    // and when they are given again
    assert.deepEqual(specOf(options, before), before)
  }
})

test('what can change while the lab is up changes, and nothing else', () => {
  const before = specOf(`${made} --racks 2 --tors 2 --bfd`)
  assert.deepEqual(specOf('--name x --nodes 5 --pods 3 --routing native --mesh full', before), {
    ...before,
    nodes: 5,
    podsPerNode: 3,
    routing: 'native',
    mesh: 'full',
  })
})

test('what cannot change while the lab is up is refused by name, with both values', () => {
  const flat = specOf(made)
  const racked = specOf(`${made} --racks 2 --tors 2`)
  for (const [before, option, value, known] of [
    [flat, '--mtu', '1500', '1400'],
    [flat, '--families', 'ipv6', 'ipv4'],
    [flat, '--cluster-cidrs', '10.8.0.0/16', '10.9.0.0/16'],
    [flat, '--subnets', '2', '1'],
    [flat, '--racks', '2', 'none'],
    [racked, '--racks', '3', '2'],
    [racked, '--tors', '1', '2'],
    [racked, '--router', 'frr', 'bird'],
    [racked, '--node-asns', 'rack', 'one'],
    [racked, '--bfd', 'on', 'off'],
  ] as const) {
    const given = option === '--bfd' ? option : `${option} ${value}`
    assert.throws(
      () => specOf(`--name x ${given}`, before),
      (error) =>
        error instanceof UsageError &&
        error.message ===
          `${option} cannot become ${value} while lab "x" is up: it is ${known}; first take the lab down: causeway lab down --name x`,
      given,
    )
  }
})

test('no file is read for a name that is none', () => {
  assert.throws(
    () => readUpOptions(['--name', '../x'], () => assert.fail('asked for a spec')),
    (error) => error instanceof UsageError && error.message.includes('--name'),
  )
})
