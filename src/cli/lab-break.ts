// `causeway lab break` and `causeway lab mend`: faults on purpose, for those who want to learn to find them.
import { table } from '#/lib/table.ts'
import { breakLab, faultsIn, type Mended, mendLab } from '#/lab/faults/break.ts'
import { faults } from '#/lab/faults/catalogue.ts'
import { codesTold, commandText } from '#/lab/faults/fault.ts'
import { type FaultRecord, type Made } from '#/lab/faults/records.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { type Action } from './command.ts'
import { labNameOption, pathsOfLab } from './lab-options.ts'
import { print, printJson, tableWidth } from './output.ts'

const breakOptions = {
  list: { type: 'boolean', help: 'tell which faults there are, and which are in the lab' },
  node: { type: 'string', value: 'NAME', help: 'the node to strike', shownDefault: "node-1, or the pod's" },
  pod: { type: 'string', value: 'NAME', help: 'the pod to strike', shownDefault: 'the first of the node' },
  quiet: { type: 'boolean', help: 'do not tell what was done: for who wants to find it' },
  ...labNameOption,
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

const mendOptions = { ...labNameOption, json: { type: 'boolean', help: 'for programs' } } as const satisfies OptionTable

function causeway(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1]!]
}

function mustBeRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('must run as root: it changes network namespaces; try again with sudo')
}

const ofLab = (lab: string): string => (lab === 'lab' ? '' : ` --name ${lab}`)

function list(lab: string, json: boolean): void {
  const paths = pathsOfLab(lab)
  const spec = readSpec(paths)
  const present = new Map(faultsIn(lab).map((record) => [record.fault, record]))
  const rows = faults.map((fault) => {
    const { name, about, where, needs } = fault
    const codes = codesTold(fault, spec)
    const record = present.get(name)
    const refusal = spec && needs?.(spec)
    return { name, about, where, codes, ...(record && { on: record.node }), ...(refusal !== undefined && { refusal }) }
  })
  if (json) return printJson(rows)
  const stateOf = ({ on, refusal }: (typeof rows)[number]): string =>
    on !== undefined ? `on ${on}` : refusal === undefined ? '' : 'not here'
  const header = ['FAULT', ...(spec ? [`LAB ${lab.toUpperCase()}`] : []), 'CODE', 'WHAT IS WRONG']
  const cells = rows.map((row) => [row.name, ...(spec ? [stateOf(row)] : []), row.codes.join(' ') || '-', row.about])
  print(table(header, cells, { width: tableWidth() }))
}

/** An act, as a person would do it. */
function actText(made: Made): string {
  switch (made.kind) {
    case 'command':
      return `${made.netns}: ${commandText(made.does)}`
    case 'sysctl':
      return `${made.netns}: sysctl -w ${made.key.replaceAll('/', '.')}=${made.value}`
    case 'file':
      return `wrote ${made.path}`
    case 'created':
      return `created ${made.path}`
    case 'patched':
      return `changed ${made.path}: ${JSON.stringify(made.change)}`
    case 'reregistered':
      return `registered ${made.node} anew, with other pod CIDRs than ${made.cidrs.join(' ')}`
    case 'conntrack':
      return `${made.netns}: made entries of connection tracking with mark ${made.mark} until it was full`
    case 'daemon':
      return `${made.netns}: started ${commandText(made.command)}`
    case 'killed':
      return `killed the agent of ${made.node}`
    case 'frozen':
      return `halted the agent of ${made.node}`
    case 'restore':
      return `${made.netns}: noted ${commandText(made.undo)}`
    case 'underlay':
      return `noted the underlay of ${made.node}`
    default:
      return made satisfies never
  }
}

function placeOf({ node, pod }: FaultRecord): string {
  return pod === undefined ? node : `${node}, pod ${pod}`
}

async function breakIt(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, breakOptions)
  const [name, ...more] = positionals
  noMore(more)
  const { lab } = pathsOfLab(values.name)
  if (values.list) {
    if (name !== undefined) throw new UsageError(`--list takes no fault, and "${name}" is given`)
    list(lab, values.json === true)
    return 0
  }
  if (name === undefined) throw new UsageError('which fault? See: causeway lab break --list')
  mustBeRoot()
  const record = await breakLab(lab, name, { node: values.node, pod: values.pod }, { causeway: causeway() })
  if (values.json) printJson(record)
  else {
    const what = values.quiet ? '' : `: ${name} on ${placeOf(record)}`
    const acts = values.quiet
      ? []
      : record.made.filter(({ kind }) => kind !== 'underlay' && kind !== 'restore').map((made) => `  ${actText(made)}`)
    print([`lab "${lab}" is broken${what}`, ...acts, `take it back: causeway lab mend${ofLab(lab)}`].join('\n'))
  }
  return 0
}

function mendedLines({ record, steps, failures }: Mended): string[] {
  const apart = steps.filter(({ undone }) => undone !== 'taken back')
  const words = { gone: 'was gone already', changed: 'was changed since, and stays so' } as const
  const notes = apart.map(
    ({ made, undone }) => `  ${undone === 'changed' ? words.changed : words.gone}: ${actText(made)}`,
  )
  return [
    `${record.fault} on ${placeOf(record)}: ${failures.length > 0 ? 'not all of it is taken back' : 'taken back'}`,
    ...notes,
    ...failures.map((failure) => `  ! ${failure}`),
  ]
}

async function mend(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, mendOptions)
  const [name, ...more] = positionals
  noMore(more)
  const { lab } = pathsOfLab(values.name)
  mustBeRoot()
  const mended = await mendLab(lab, name, { causeway: causeway() })
  if (values.json) printJson(mended)
  else if (mended.length === 0) print(`no fault is in lab "${lab}"`)
  else print(mended.flatMap(mendedLines).join('\n'))
  return mended.every(({ failures }) => failures.length === 0) ? 0 : 1
}

export const breakCommand: Action = {
  name: 'break',
  summary: 'cause a fault in a lab, as others cause it, to learn to find it',
  about: `Makes real objects of somebody else in the lab's namespaces or its API, and notes them: causeway lab mend takes them back, in whichever state it finds them, and so does causeway lab down.

A code is what causeway status, an Event of a Node object or causeway ipam check tells the fault by. Where nothing tells it, there is none.`,
  operands: 'FAULT',
  options: breakOptions,
  run: breakIt,
}

export const mendCommand: Action = {
  name: 'mend',
  summary: 'take back a fault that lab break has caused, or all of them',
  about:
    'Takes back exactly what was made, the last first. What cannot be taken back stays noted, and the next mend tries again. Exit status 0 when nothing is left.',
  operands: '[FAULT]',
  options: mendOptions,
  run: mend,
}
