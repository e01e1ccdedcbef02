// The whole tree of commands: what every one of them has to keep to.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { optionNames, UsageError } from './args.ts'
import { rootCommand } from './commands.ts'
import { completionScript, placesOf } from './completion.ts'
import { find, findAction } from './dispatch.ts'
import { helpOf } from './help.ts'

test('help of every command names all of its options and actions, in 80 columns', async () => {
  for (const { path, verbs } of await placesOf(rootCommand)) {
    const { command } = await find('causeway', rootCommand, path.trim().split(' ').filter(Boolean))
    const text = await helpOf(`causeway${path}`, command)
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line)
    for (const { name } of verbs) assert.match(text, new RegExp(`^  ${name} `, 'm'))
    const action = 'options' in command ? command : command.bare
    for (const name of optionNames(action?.options ?? {})) assert.ok(text.includes(`--${name}`), name)
    assert.ok(text.startsWith(`usage: causeway${path}`), text)
  }
})

test('every command about a lab takes --name and --lab', async () => {
  const places = await placesOf(rootCommand)
  const about = [
    'lab up',
    'lab down',
    'lab status',
    'lab break',
    'lab mend',
    'status',
    'plan',
    'ipam show',
    'ipam check',
    'ipam release',
  ]
  for (const path of [
    ...about,
    'datapath',
    'datapath maps',
    'datapath watch',
    'bgp peers',
    'bgp routes',
    'bgp advertised',
    'bgp reset',
  ]) {
    const names = places.find((place) => place.path === ` ${path}`)?.options.map(({ name }) => name) ?? []
    assert.ok(names.includes('name') && names.includes('lab'), path)
  }
})

test('a command that is none is told, with the nearest name', async () => {
  for (const [args, message] of [
    [['stauts'], /^there is no command "stauts"; did you mean status\?$/],
    [['frobnicate'], /^there is no command "frobnicate"; there are lab, status, /],
    [['lab', 'dwon'], /^lab dwon: expected up, down, status, break or mend; did you mean down\?$/],
    [['ipam', 'chek'], /^ipam chek: expected show, check or release; did you mean check\?$/],
    [['bgp', 'route'], /did you mean routes\?$/],
    [['lab'], /^lab: expected up, down, status, break or mend$/],
    [['lab', '--nodes', '3'], /^lab --nodes: what to do comes first: causeway lab up, down, status, break or mend$/],
    [['--nodes'], /^there is no option --nodes here: the command comes first/],
    [['constructor'], /^there is no command "constructor"/],
  ] as const)
    await assert.rejects(
      findAction('causeway', rootCommand, args),
      (error) => error instanceof UsageError && message.test(error.message),
      String(message),
    )
  assert.equal((await findAction('causeway', rootCommand, ['lab', 'serve-api'])).command.name, 'serve-api')
  assert.equal((await findAction('causeway', rootCommand, ['datapath', '--json'])).command.name, 'datapath')
  assert.equal((await findAction('causeway', rootCommand, ['datapath', 'maps', 'pods'])).command.name, 'maps')
})

/** What bash offers for the last of these words. */
function completed(script: string, ...words: readonly string[]): string[] {
  const { stdout, stderr, status } = spawnSync(
    'bash',
    [
      '-c',
      'eval "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _causeway; printf "%s\\n" "${COMPREPLY[@]}"',
      'bash',
      ...words,
    ],
    { env: { ...process.env, SCRIPT: script }, encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return stdout.split('\n').filter(Boolean)
}

test('bash completes commands, actions, options and values', async () => {
  const script = completionScript('bash', await placesOf(rootCommand))
  assert.deepEqual(completed(script, 'causeway', 'la'), ['lab'])
  assert.deepEqual(completed(script, 'causeway', 'lab', ''), ['up', 'down', 'status', 'break', 'mend', '--help'])
  assert.deepEqual(completed(script, './causeway', 'lab', 'up', '--no'), ['--nodes', '--node-asns'])
  assert.deepEqual(completed(script, 'causeway', 'lab', 'up', '--nodes', '3', '--rou'), ['--routing', '--router'])
  assert.deepEqual(completed(script, 'causeway', 'lab', 'up', '--routing', 'n'), ['native'])
  assert.deepEqual(completed(script, 'causeway', 'lab', 'up', '--routing', '=', 'a'), ['auto'])
  assert.deepEqual(completed(script, 'causeway', 'lab', 'up', '--routing', '='), ['vxlan', 'native', 'auto'])
  assert.deepEqual(completed(script, 'causeway', 'lab', 'up', '--nodes', ''), [])
  assert.deepEqual(completed(script, 'causeway', 'datapath', ''), [
    'maps',
    'watch',
    '--node',
    '--kubeconfig',
    '--context',
    '--agents-namespace',
    '--namespace',
    '--lab',
    '--name',
    '--json',
    '--help',
  ])
  assert.deepEqual(completed(script, 'causeway', 'bgp', 'speak', '--stop-as', 'r'), ['restart'])
  assert.deepEqual(completed(script, 'causeway', 'completion', '--'), ['--help'])
})

test('zsh and fish get every command and option', async () => {
  const places = await placesOf(rootCommand)
  const zsh = completionScript('zsh', places)
  const fish = completionScript('fish', places)
  assert.ok(zsh.startsWith('#compdef causeway\n'))
  for (const { path, verbs, options } of places) {
    for (const name of [...verbs.map((verb) => verb.name), ...options.map((option) => `--${option.name}`)])
      assert.ok(zsh.includes(`'${name}:`), `zsh: ${path} ${name}`)
    for (const { name } of verbs)
      assert.ok(fish.includes(`-n '__causeway_at "${path}"' -f -a ${name} `), `fish: ${name}`)
    for (const { name } of options)
      assert.ok(fish.includes(`-n '__causeway_at "${path}"' -l ${name} `), `fish: ${name}`)
  }
})
