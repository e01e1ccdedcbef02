// The index of a cluster with policies, in a process of its own: what it costs to make, to keep, and to change.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { evaluate } from '#/policy/evaluate.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { localOf, namespaceCount, namespaceOf, podOf, policyOf } from './policy-cluster.ts'
import { numbers } from './nodes-of.ts'

export type PolicyIndexSettings = {
  readonly pods: number
  readonly policies: number
  readonly locals: number
  readonly changes: number
  /** Whether no two pods have the same labels: then nothing can be asked once for many. */
  readonly isAlone: boolean
}

/** Times in milliseconds. */
export type PolicyIndexReport = {
  readonly buildMs: number
  /** The longest single call while the index was made, and the first taking of the form. */
  readonly longestCallMs: number
  readonly takeMs: number
  readonly heapMiB: number
  readonly labelChangeMs: readonly number[]
  readonly localChangeMs: readonly number[]
  readonly policyChangeMs: readonly number[]
  readonly namespaceChangeMs: number
  readonly elements: number
  readonly evaluateMs: number
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapMiB(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / (1 << 20)
}

function timed(run: () => void): number {
  const startedMs = performance.now()
  run()
  return performance.now() - startedMs
}

type Built = { readonly index: PolicyIndex; readonly longestCallMs: number; readonly takeMs: number }

function build({ pods, policies, locals, isAlone }: PolicyIndexSettings): Built {
  const index = new PolicyIndex()
  let longestCallMs = 0
  const call = (run: () => void): void => {
    longestCallMs = Math.max(longestCallMs, timed(run))
  }
  for (const number of numbers(0, namespaceCount - 1)) call(() => index.setNamespace(namespaceOf(number)))
  for (const number of localNumbers(pods, locals)) call(() => index.setLocal(localOf(number)))
  for (const number of numbers(0, pods - 1)) call(() => index.setPod(podOf(number, 0, isAlone)))
  for (const number of numbers(0, policies - 1)) call(() => index.setPolicy(policyOf(number)))
  return { index, longestCallMs, takeMs: timed(() => index.take()) }
}

/** Spread over namespaces and applications. */
function localNumbers(pods: number, locals: number): number[] {
  return numbers(0, locals - 1).map((number) => Math.floor((number * pods) / locals))
}

function measure(settings: PolicyIndexSettings): PolicyIndexReport {
  const { pods, policies, locals, changes, isAlone } = settings
  const before = heapMiB()
  const cold = build(settings)
  const heap = heapMiB() - before
  const { index, longestCallMs, takeMs } = cold
  const change = (make: (number: number) => () => void): number[] =>
    numbers(1, changes).map((number) => {
      const run = make(number)
      return timed(() => {
        run()
        index.take()
      })
    })
  const relabel = (number: number, version: number): (() => void) => {
    const pod = podOf(number, version, isAlone)
    return () => index.setPod(pod)
  }
  const here = localNumbers(pods, locals)
  const labelChangeMs = change((number) => relabel((number * 97) % pods, number))
  const localChangeMs = change((number) => relabel(here[number % locals]!, -number))
  const policyChangeMs = change((number) => {
    const policy = policyOf(number % policies)
    const { ingress } = policy.rules
    const changed = number % 2 === 0 ? policy : { ...policy, rules: { ingress: ingress!.slice(1) } }
    return () => index.setPolicy(changed)
  })
  let elements = 0
  const namespaceChangeMs = timed(() => {
    index.setNamespace({ ...namespaceOf(0), labels: { group: 'group-1' } })
    for (const { added, removed } of index.take().members.values()) elements += added.length + removed.length
  })
  const evaluations = 50 * changes
  const all = [...index.pods.values()].flatMap(({ addrs }) => addrs[0] ?? [])
  const evaluateMs = timed(() => {
    for (const number of numbers(1, evaluations))
      evaluate(index, {
        src: all[number % all.length]!,
        dst: all[(number * 31) % all.length]!,
        protocol: 6,
        port: 8080,
      })
  })
  return {
    // what every change would cost without an index: with the code warm, as an agent's is then
    buildMs: timed(() => build(settings)),
    longestCallMs,
    takeMs,
    heapMiB: heap,
    labelChangeMs,
    localChangeMs,
    policyChangeMs,
    namespaceChangeMs,
    elements,
    evaluateMs: evaluateMs / evaluations,
  }
}

process.on('message', (settings: PolicyIndexSettings) => process.send!(measure(settings)))
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.send!('ready')
