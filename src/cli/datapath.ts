// `causeway datapath`: which datapath a node has, and of the eBPF datapath programs, hooks, maps, counters and drops. The stream of watched
// packets is in datapath-watch.ts.
import { type MapReport } from '#/api/schemas/datapath.ts'
import { table } from '#/lib/table.ts'
import { type AgentAnswer, agentOptions, agentOptionsNote, answersOf } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options } from './args.ts'
import { type Action, type Group } from './command.ts'
import { renderDatapath, renderMaps } from './datapath-text.ts'
import { print, printJson, tableWidth } from './output.ts'

const showCommand: Action = {
  name: 'datapath',
  summary: 'show the datapath of nodes',
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'datapath')
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, (_node, value) => renderDatapath(value, tableWidth(), Date.now())))
    return answers.every(({ value }) => value !== undefined && value.why === undefined) ? 0 : 1
  },
}

/** The maps that a name means: `pods` is both of its families. Undefined: all of them, not their entries. */
function mapsNamed(name: string): string[] {
  const full = name.startsWith('cw_') ? name : `cw_${name}`
  return full === 'cw_pods' || full === 'cw_nodes' ? [`${full}4`, `${full}6`] : [full]
}

function renderMap(node: string, { map, columns, rows }: MapReport): string {
  const title = `${node} ${map}: ${rows.length} ${rows.length === 1 ? 'entry' : 'entries'}`
  return rows.length === 0 ? title : `${title}\n${table(columns, rows, { width: tableWidth() })}`
}

const mapsCommand: Action = {
  name: 'maps',
  summary: 'the maps and how full they are, or the entries of one in words',
  operands: '[NAME]',
  about: `Without a name: every map, how full it is, and the memory that it takes. With one: its entries. "pods" and "nodes" are the maps of both families; any other name may leave out its cw_.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    const [name, ...more] = positionals
    noMore(more)
    if (name === undefined) {
      const answers = await answersOf(values, 'datapath')
      if (values.json)
        printJson(answers.map(({ value, ...rest }) => (value ? { ...rest, value: value.programs?.maps ?? [] } : rest)))
      else print(renderAnswers(answers, (_node, value) => renderMaps(value, tableWidth())))
      return answers.every(({ value }) => value !== undefined) ? 0 : 1
    }
    const answers: AgentAnswer<MapReport>[] = []
    for (const map of mapsNamed(name)) answers.push(...(await answersOf(values, 'datapathMap', { map })))
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, renderMap))
    return answers.every(({ value }) => value !== undefined) ? 0 : 1
  },
}

export const datapathCommand: Group = {
  name: 'datapath',
  summary: 'show programs, maps and counters of the eBPF datapath; watch packets',
  about: `Alone it shows which datapath each node has and why, and of the eBPF datapath: the programs and where they are attached, how full the maps are, what was carried for each pod and what took the way of the node's network stack, and what was dropped and why. Exit status 1 when a node has another datapath than the wanted one.

${agentOptionsNote}`,
  verbs: {
    maps: async () => mapsCommand,
    watch: async () => (await import('./datapath-watch.ts')).watchCommand,
  },
  bare: showCommand,
}
