// Causes faults in a lab, and takes them back: `causeway lab break`, `causeway lab mend`.
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { messageOf } from '#/lib/log.ts'
import { didYouMean } from '#/lib/nearest.ts'
import { lockLab } from '../lock.ts'
import { LabPaths } from '../paths.ts'
import { readSpec } from '../spec-file.ts'
import { LabError, type LabSpec } from '../spec.ts'
import { faults } from './catalogue.ts'
import { type Choice, readFacts, targetOf } from './facts.ts'
import { type Fault } from './fault.ts'
import { type FaultRecord, FaultRecords, type Made } from './records.ts'
import { LabScene } from './scene.ts'
import { takeBack, type Undone } from './undo.ts'

/** Throws LabError for a name that is none. */
export function faultOf(name: string): Fault {
  const fault = faults.find((each) => each.name === name)
  if (fault) return fault
  const hint = didYouMean(
    name,
    faults.map((each) => each.name),
  )
  throw new LabError(`there is no fault "${name}"${hint || '; see: causeway lab break --list'}`)
}

/** Throws LabError when the lab is not up. */
function specOf(paths: LabPaths): LabSpec {
  const spec = readSpec(paths)
  if (spec) return spec
  throw new LabError(`no lab "${paths.lab}" is up; bring one up: causeway lab up --name ${paths.lab}`)
}

async function apiOf(paths: LabPaths): Promise<ApiClient> {
  const client = await connect({ kubeconfig: paths.kubeconfig })
  try {
    await client.list(nodesPath(), { timeoutMs: 3000 })
    return client
  } catch (error) {
    await client[Symbol.asyncDispose]()
    throw new LabError(
      `the API of lab "${paths.lab}" does not answer: ${messageOf(error)}; run: causeway lab up --name ${paths.lab}`,
    )
  }
}

function refuseTwice(lab: string, record: FaultRecord | undefined): void {
  if (record === undefined) return
  const { fault, node, isWhole, sinceMs } = record
  const since = new Date(sinceMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const mend = `causeway lab mend ${fault}${lab === 'lab' ? '' : ` --name ${lab}`}`
  throw new LabError(
    isWhole
      ? `${fault} is in lab "${lab}" already, on ${node}, since ${since}; take it back: ${mend}`
      : `a "lab break" ended in the midst of ${fault}, on ${node}, at ${since}; take back what it did: ${mend}`,
  )
}

/** Two faults that set one sysctl could not be taken back in any order. */
function refuseClash(lab: string, record: FaultRecord, others: readonly FaultRecord[]): void {
  for (const made of record.made) {
    if (made.kind !== 'sysctl') continue
    const same = (each: Made): boolean => each.kind === 'sysctl' && each.netns === made.netns && each.key === made.key
    const other = others.find(({ made: all }) => all.some(same))
    if (other) throw new LabError(`${other.fault} in lab "${lab}" has set ${made.key} already; take it back first`)
  }
}

export type BreakContext = { readonly causeway: readonly string[] }

/** Causes a fault. Throws LabError when the lab cannot have it; what was done until then is taken back. */
export async function breakLab(
  lab: string,
  name: string,
  choice: Choice,
  { causeway }: BreakContext,
): Promise<FaultRecord> {
  const fault = faultOf(name)
  const paths = new LabPaths(lab)
  const spec = specOf(paths)
  await using _lock = await lockLab(lab)
  const records = new FaultRecords(paths)
  const others = records.list()
  refuseTwice(
    lab,
    others.find((each) => each.fault === name),
  )
  const why = fault.needs?.(spec)
  if (why !== undefined) throw new LabError(`lab "${lab}" cannot have ${name}: ${why}`)
  await using client = await apiOf(paths)
  const facts = await readFacts(spec, client)
  const target = targetOf(facts, choice)
  const scene = new LabScene(name, spec, { facts, target }, { causeway, client, records })
  try {
    await fault.cause(scene)
    refuseClash(lab, scene.record, others)
    return scene.finish()
  } catch (error) {
    const { failures } = await takeAllBack(scene.record, { spec, causeway, records, client: async () => client })
    const left = failures.length === 0 ? '' : `; and not all of it could be taken back: ${failures.join('; ')}`
    throw new LabError(`${name} cannot be caused: ${messageOf(error)}${left}`)
  }
}

type TakeBack = BreakContext & {
  readonly spec: LabSpec
  readonly records: FaultRecords
  readonly client: () => Promise<ApiClient>
}

/** One act that was taken back. */
export type Step = { readonly made: Made; readonly undone: Undone }

export type Mended = {
  readonly record: FaultRecord
  readonly steps: readonly Step[]
  /** What could not be taken back; it is still noted. */
  readonly failures: readonly string[]
}

/** Takes back the acts of a fault, the last one first. What fails stays noted, and the others are taken back all the same. */
async function takeAllBack(record: FaultRecord, context: TakeBack): Promise<Mended> {
  const { records } = context
  const steps: Step[] = []
  const failures: string[] = []
  let left = record.made
  for (const made of record.made.toReversed()) {
    try {
      steps.push({ made, undone: await takeBack(context, made) })
      left = left.filter((each) => each !== made)
      records.save({ ...record, isWhole: false, made: left })
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  if (left.length === 0) records.remove(record)
  return { record, steps, failures }
}

/** Takes back one fault, or all of a lab, the latest first. Throws LabError when there is no lab, or not that fault in it. */
export async function mendLab(lab: string, name: string | undefined, { causeway }: BreakContext): Promise<Mended[]> {
  if (name !== undefined) faultOf(name)
  const paths = new LabPaths(lab)
  const spec = specOf(paths)
  await using _lock = await lockLab(lab)
  const records = new FaultRecords(paths)
  const chosen = records.list().filter(({ fault }) => name === undefined || fault === name)
  if (name !== undefined && chosen.length === 0) throw new LabError(`${name} is not in lab "${lab}"`)
  let connected: Promise<ApiClient> | undefined
  const mended: Mended[] = []
  try {
    for (const record of chosen)
      mended.push(await takeAllBack(record, { spec, causeway, records, client: () => (connected ??= apiOf(paths)) }))
  } finally {
    await connected?.then(
      async (client) => client[Symbol.asyncDispose](),
      () => {},
    )
  }
  return mended
}

/** The faults of a lab, the latest first; none where there is no such lab. */
export function faultsIn(lab: string): FaultRecord[] {
  return new FaultRecords(new LabPaths(lab)).list()
}
