// `causeway test connectivity`: pods of its own, packets between them, and nothing left of it.
import { type AgentOfNode } from '#/api/client.ts'
import { connect } from '#/cluster/connect.ts'
import { describe } from '#/cluster/errors.ts'
import { exitStatusOf, resultsJson } from '#/connectivity/json.ts'
import { defaultNamespace } from '#/connectivity/objects.ts'
import { scenarios } from '#/connectivity/scenarios.ts'
import { selectionOf } from '#/connectivity/selection.ts'
import { scenarioLines, summaryText } from '#/connectivity/text.ts'
import { plural } from '#/lib/plural.ts'
import { type Outside, type ScenarioResult } from '#/connectivity/types.ts'
import { Addr, families } from '#/lib/addr.ts'
import { table } from '#/lib/table.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { chosenSource } from './access/open.ts'
import { apiFor } from './access/service-api.ts'
import { agentOptionsBesidesNamespace, agentOptionsNote, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, type Values, wholeNumber } from './args.ts'
import { namespaceIn } from './cluster-options.ts'
import { type Action } from './command.ts'
import { Interrupted, Interruption } from './interruption.ts'
import { complain, print, printJson, tableWidth } from './output.ts'
import { makeTracePrograms } from './set-up.ts'
import { JunitFile } from './test-connectivity-junit.ts'
import { removeLeftover, takeNamespace, TestRefused } from './test-connectivity-namespace.ts'
import { agentImage, chooseNodes, ScenarioRun, type Session } from './test-connectivity-run.ts'
import { splitPort } from './trace.ts'

const { node: _node, ...everywhere } = agentOptionsBesidesNamespace

const testOptions = {
  nodes: { type: 'string', value: 'N', help: 'so many nodes, spread over all', shownDefault: 'all' },
  only: { type: 'string', value: 'LIST', help: 'these scenarios, with commas between' },
  skip: { type: 'string', value: 'LIST', help: 'all scenarios but these' },
  list: { type: 'boolean', help: 'show the scenarios, and run none' },
  image: { type: 'string', value: 'IMAGE', help: 'of the pods; it has a shell', shownDefault: 'that of the agents' },
  outside: {
    type: 'string',
    value: 'ADDR[:PORT]',
    multiple: true,
    help: 'an address outside of the cluster that answers, one of each family',
    shownDefault: "the nodes' gateway",
  },
  timeout: { type: 'string', value: 'SECONDS', default: '60', help: 'how long pods may take to become ready' },
  namespace: { type: 'string', value: 'NAME', default: defaultNamespace, help: 'where the pods are made' },
  clean: { type: 'boolean', help: 'only remove what an earlier test has left' },
  junit: { type: 'string', value: 'FILE', help: "write the outcome as JUnit's XML" },
  ...everywhere,
} as const satisfies OptionTable

/** The test could not be made. */
const unmadeStatus = 3

function outsideIn(texts: readonly string[] | undefined): Outside[] | undefined {
  return texts?.map((text) => {
    const { end, port } = splitPort(text)
    const addr = Addr.tryParse(end)
    if (addr === undefined)
      throw new UsageError(`--outside "${text}": expected an address, such as 192.0.2.1:443 or [2001:db8::1]:443`)
    return { addr: String(addr), ...(port !== undefined && { port }), isGuessed: false }
  })
}

function countIn(option: 'nodes' | 'timeout', text: string): number {
  const count = wholeNumber(option, text)
  if (count === 0) throw new UsageError(`--${option} 0: expected at least 1`)
  return count
}

/** A line on a terminal that says how far a scenario is, and is gone when it is over. */
class ProgressLine {
  readonly #isShown = process.stderr.isTTY

  show(name: string, done: number, all: number): void {
    if (this.#isShown) process.stderr.write(`\r\u001b[K…     ${name}: ${done} of ${all}`)
  }

  clear(): void {
    if (this.#isShown) process.stderr.write('\r\u001b[K')
  }
}

/** Whether it is written. That it cannot be, as on a full disk, hides nothing of what else is told. */
function tryJunit(write: () => void): boolean {
  try {
    write()
    return true
  } catch (error) {
    complain(`causeway: the file of --junit cannot be written: ${describe(error)}`)
    return false
  }
}

type TestValues = Values<typeof testOptions>

/** What the options say. Throws UsageError for what makes no sense, before anything is asked. */
function read(values: TestValues) {
  if (values.clean && values.junit !== undefined) throw new UsageError('--junit: --clean tests nothing')
  const selection = selectionOf(values.only, values.skip)
  if (typeof selection === 'string') throw new UsageError(selection)
  const api = apiFor(values)
  if (api === undefined)
    throw new UsageError('there is no cluster to test; use --kubeconfig FILE, or bring up a lab: causeway lab up')
  return {
    selection,
    api,
    nodeCount: values.nodes === undefined ? undefined : countIn('nodes', values.nodes),
    timeoutMs: countIn('timeout', values.timeout) * 1000,
    outside: outsideIn(values.outside),
    namespace: namespaceIn(values.namespace),
  }
}

type Wish = ReturnType<typeof read> & {
  readonly values: TestValues
  readonly interruption: Interruption
  readonly junit: JunitFile | undefined
}

async function runTest(agents: readonly AgentOfNode[], unlisted: string | undefined, wish: Wish): Promise<number> {
  const { selection, api, nodeCount, timeoutMs, outside, namespace, values, interruption, junit } = wish
  const { signal } = interruption
  if (unlisted !== undefined) complain(unlisted)
  await using client = await connect(api)
  const nodes = await chooseNodes(client, agents, nodeCount)
  const image = values.image ?? (await agentImage(client, values['agents-namespace'] ?? nodeSettings.namespace.default))
  if (image === undefined)
    throw new TestRefused('no agent runs in a pod, whose image could be used; --image IMAGE names one with a shell')
  const isText = values.json !== true
  const had = families.filter((family) =>
    nodes.some(({ addrs }) => addrs.some((addr) => Addr.parse(addr).family === family)),
  )
  if (isText)
    print(
      `causeway test connectivity: ${plural(nodes.length, 'node')}, ${had.map((each) => `IPv${each}`).join(' and ')}\n`,
    )
  const progress = new ProgressLine()
  const session: Session = {
    client,
    agents,
    unlisted,
    choice: values,
    selection,
    image,
    outside,
    timeoutMs,
    signal,
    progress: (name, done, all) => progress.show(name, done, all),
    tell: (result) => {
      progress.clear()
      junit?.take(result)
      if (isText) print(scenarioLines(result, tableWidth()).join('\n'))
    },
  }
  const startMs = performance.now()
  const taken = await takeNamespace(client, namespace, { say: complain, signal })
  let results: readonly ScenarioResult[]
  let isRemoved: boolean
  try {
    results = await interruption.orStopped(new ScenarioRun(session, nodes, namespace).run())
  } finally {
    progress.clear()
    const tellWait = (): void =>
      complain(`interrupted: namespace/${namespace} is removed; another Ctrl-C leaves that to the next run`)
    if (signal.aborted) tellWait()
    else signal.addEventListener('abort', tellWait, { once: true })
    isRemoved = await taken.remove(complain)
    signal.removeEventListener('abort', tellWait)
  }
  const ms = performance.now() - startMs
  // before what is printed: a file that cannot be written makes another outcome
  const isWritten = tryJunit(() => junit?.end(results))
  const exitStatus = exitStatusOf(results, isRemoved && isWritten)
  if (isText) print(`\n${summaryText(results, ms)}`)
  else
    printJson(
      resultsJson(
        results,
        nodes.map(({ name }) => name),
        { ms, exitStatus },
      ),
    )
  return exitStatus
}

async function clean({ api, namespace, interruption }: Wish): Promise<number> {
  await using client = await connect(api)
  const { signal } = interruption
  if (!(await removeLeftover(client, namespace, { say: complain, signal }))) print(`there is no namespace/${namespace}`)
  return 0
}

async function run(values: TestValues): Promise<number> {
  const asked = read(values)
  using junit = values.junit === undefined ? undefined : new JunitFile(values.junit)
  const wish = { ...asked, values, interruption: new Interruption(), junit }
  try {
    if (values.clean) return await clean(wish)
    if (chosenSource(values).kind === 'lab') makeTracePrograms()
    return await withAgents(values, async (agents, unlisted) => runTest(agents, unlisted, wish))
  } catch (error) {
    tryJunit(() => junit?.fail(describe(error)))
    if (error instanceof UsageError) throw error
    const exitStatus = error instanceof Interrupted ? error.exitStatus : unmadeStatus
    const text = describe(error)
    if (values.json) printJson({ error: text, exitStatus })
    else complain(`causeway: ${text}`)
    return exitStatus
  }
}

export const testConnectivityCommand: Action = {
  name: 'connectivity',
  summary: 'make pods on every node, send packets between them, and remove all of it',
  about: `It makes two pods on each node in a namespace of its own, sends real packets between them, to Services, nodes and outside, and with a NetworkPolicy. Of what fails it says why, with the code and remedy of causeway doctor. Everything is removed in the end, also after Ctrl-C; what a killed run has left, the next one removes. --list shows the scenarios; agents and pods-start always run. docs/connectivity.md has the details.

Exit status 0: all that could be tested passed; 1: something failed; 2: wrong use; 3: the test could not be made, as where the API refuses it.

${agentOptionsNote}`,
  options: testOptions,
  run: async (args) => {
    const { values, positionals } = options(args, testOptions)
    noMore(positionals)
    if (values.list) {
      const rows = scenarios.map(({ name, summary }) => [name, summary])
      print(table(['SCENARIO', 'WHAT'], rows, { width: tableWidth() }))
      return 0
    }
    return await run(values)
  },
}
