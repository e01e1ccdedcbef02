import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type LabSpec } from '#/lab/spec.ts'
import { LabPaths } from '#/lab/paths.ts'
import { options } from './args.ts'
import { missingText } from './lab.ts'
import { specOf, upOptions } from './lab-options.ts'

function asked(before: LabSpec | undefined, ...args: readonly string[]): LabSpec {
  return specOf(options(['--name', 'x', ...args], upOptions).values, before)
}

const plain: LabSpec = {
  name: 'x',
  nodes: 3,
  families: 'dual',
  clusterCIDRs: [Prefix.parse('10.244.0.0/16'), Prefix.parse('fd10:244::/48')],
  underlayMtuBytes: 1500,
  subnets: 1,
  routing: 'vxlan',
  datapath: 'bridge',
  podsPerNode: 2,
}
const made = asked(
  undefined,
  '--nodes',
  '4',
  '--families',
  'ipv4',
  '--mtu',
  '1400',
  '--racks',
  '2',
  '--bfd',
  '--mesh',
  'full',
)

test('a new lab has the defaults', () => {
  assert.deepEqual(asked(undefined), plain)
})

test('up again without options asks for the lab as it was made', () => {
  assert.deepEqual(asked(made), made)
  assert.deepEqual(asked(plain), plain)
})

test('the same options again are no change, however they are written', () => {
  assert.deepEqual(asked(plain, '--mtu', '01500', '--cluster-cidrs', '10.244.0.0/16, fd10:244::/48'), plain)
  assert.deepEqual(asked(made, '--racks', '2', '--router', 'bird', '--bfd'), made)
})

test('what can change does, and the rest stays', () => {
  assert.deepEqual(
    asked(made, '--nodes', '6', '--pods', '1', '--routing', 'native', '--datapath', 'mixed', '--mesh', 'none'),
    {
      ...made,
      nodes: 6,
      podsPerNode: 1,
      routing: 'native',
      datapath: 'mixed',
      mesh: 'none',
    },
  )
})

test('what cannot change is refused by name, with what it is', () => {
  for (const [before, args, message] of [
    [
      plain,
      ['--mtu', '9000'],
      /^UsageError: --mtu cannot change while the lab is up: it is 1500; .*causeway lab down --name x$/,
    ],
    [plain, ['--families', 'ipv4'], /^UsageError: --families cannot change .* it is dual;/],
    [plain, ['--racks', '2'], /^UsageError: --racks cannot change .* it has none;/],
    [plain, ['--bfd'], /^UsageError: --bfd cannot change .* it is off;/],
    [made, ['--subnets', '2'], /^UsageError: --subnets cannot change .* it has none;/],
    [made, ['--router', 'frr'], /^UsageError: --router cannot change .* it is bird;/],
    [
      made,
      ['--nodes', '5', '--cluster-cidrs', '10.9.0.0/16'],
      /^UsageError: --cluster-cidrs cannot change .* it is 10\.244\.0\.0\/16;/,
    ],
  ] as const)
    assert.throws(() => asked(before, ...args), message)
})

test('however many processes are gone, it is one line', () => {
  const roles = Array.from({ length: 20 }, (_, index) => `agent-node-${index + 1}`)
  assert.equal(
    missingText(roles, new LabPaths('x')),
    '! agent-node-1, agent-node-2, agent-node-3 and 17 more are not running; see /run/causeway-lab/x/logs/agent-node-1.log, or run: causeway lab up --name x',
  )
  assert.match(missingText(['api'], new LabPaths('x')), /^! api is not running; see /)
})
