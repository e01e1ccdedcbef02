import assert from 'node:assert/strict'
import { test } from 'node:test'
import { options, type OptionTable, UsageError } from './args.ts'

const table = {
  nodes: { type: 'string', value: 'N', help: 'how many', default: '3' },
  name: { type: 'string', alias: 'lab', value: 'NAME', help: 'which' },
  routing: { type: 'string', help: 'how', choices: ['vxlan', 'native', 'auto'] },
  set: { type: 'string', help: 'more', multiple: true },
  json: { type: 'boolean', help: 'for programs' },
  space: { type: 'string', alias: 'namespace', short: 's', value: 'NAME', help: 'where' },
} as const satisfies OptionTable

test('values, defaults, what was given, and the rest', () => {
  const { values, positionals, given } = options(['a', '--lab', 'x', '--set=A=1', '--set', 'B=2', '--json', 'b'], table)
  assert.deepEqual(values, { nodes: '3', name: 'x', set: ['A=1', 'B=2'], json: true })
  assert.deepEqual(positionals, ['a', 'b'])
  assert.deepEqual([...given], ['name', 'set', 'json'])
  assert.equal(options(['--name', 'y'], table).values.name, 'y')
  assert.deepEqual(options(['--', '--json'], table).positionals, ['--json'])
  assert.equal(options(['--name=-x'], table).values.name, '-x')
  for (const args of [['-s', 'x'], ['-sx'], ['--space', 'x'], ['--namespace=x']])
    assert.equal(options(args, table).values.space, 'x', args.join(' '))
})

test('wrong use is told in our words, with the nearest name', () => {
  for (const [args, message] of [
    [['--ndoes', '4'], 'there is no option --ndoes; did you mean --nodes?'],
    [['--frobnicate'], 'there is no option --frobnicate'],
    [['-n'], 'there is no option -n'],
    [['-s'], '-s needs a value: -s NAME'],
    [['--json=yes'], '--json takes no value'],
    [['--nodes'], '--nodes needs a value: --nodes N'],
    [['--nodes', '--json'], '--nodes needs a value: --nodes N; if the value is "--json", write --nodes=--json'],
    [['--routing', 'nativ'], '--routing "nativ": expected vxlan, native, auto; did you mean native?'],
    [['--routing', 'ospf'], '--routing "ospf": expected vxlan, native, auto'],
  ] as const)
    assert.throws(
      () => options(args, table),
      (error) => error instanceof UsageError && error.message === message,
      message,
    )
})

test('names that every object has are no options', () => {
  for (const name of ['--constructor', '--toString', '--__proto__'])
    assert.throws(() => options([name], table), /there is no option/)
})
