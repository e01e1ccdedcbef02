// Takes back one act of a fault, whatever became of it meanwhile: exactly what was made, and nothing that somebody else has made since.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { deleteMarked } from '#/kernel/conntrack-entries.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { readSysctl, writeSysctl } from '#/sys/sysctl.ts'
import { agentStart } from '../agents.ts'
import { agentRole } from '../roles.ts'
import { labProcesses, signalProcesses, startProcess, stopProcesses } from '../processes.ts'
import { LabError, labNodes, type LabSpec, nodeNetns } from '../spec.ts'
import { ensureNode } from '../underlay.ts'
import { execute, isGone, isThere, ofLab } from './execute.ts'
import { commandText } from './fault.ts'
import { type Made } from './records.ts'
import { reregister } from './reregister.ts'

export type UndoContext = {
  readonly spec: LabSpec
  /** The command line's interpreter and script. */
  readonly causeway: readonly string[]
  /** Connects to the lab's API when the first object asks for it. */
  readonly client: () => Promise<ApiClient>
}

/** `taken back`; `gone`: nothing was left of it; `changed`: somebody has set it to something else since, and it stays so. */
export type Undone = 'taken back' | 'gone' | 'changed'

const graceMs = 1000

type Of<Kind extends Made['kind']> = Extract<Made, { kind: Kind }>

function undoCommand({ spec }: UndoContext, { netns, undo }: Of<'command' | 'restore'>): Undone {
  if (!isThere(spec.name, netns)) return 'gone'
  const { isDone, stderr } = execute(spec.name, netns, undo)
  if (isDone) return 'taken back'
  if (isGone(stderr)) return 'gone'
  throw new LabError(`${netns}: ${commandText(undo)}: ${stderr}`)
}

function undoSysctl({ spec }: UndoContext, { netns, key, value, before }: Of<'sysctl'>): Undone {
  if (!isThere(spec.name, netns)) return 'gone'
  using inside = ofLab(spec.name, netns)
  return inside.run(() => {
    const now = readSysctl(key)
    if (now === undefined || now === before) return 'gone'
    if (now !== value) return 'changed'
    writeSysctl(key, before)
    return 'taken back'
  })
}

function undoFile({ path, text }: Of<'file'>): Undone {
  if (!existsSync(path)) return 'gone'
  if (readFileSync(path, 'utf8') !== text) return 'changed'
  rmSync(path)
  return 'taken back'
}

async function undoCreated({ client }: UndoContext, { path, uid }: Of<'created'>): Promise<Undone> {
  const api = await client()
  try {
    const { metadata } = await api.get<KubeObject>(path)
    if (uid !== undefined && metadata.uid !== uid) return 'changed'
    await api.delete(path)
    return 'taken back'
  } catch (error) {
    if (isApiError(error, 404)) return 'gone'
    throw error
  }
}

async function undoPatched({ client }: UndoContext, { path, undo }: Of<'patched'>): Promise<Undone> {
  try {
    await (await client()).patch(path, undo, 'merge')
    return 'taken back'
  } catch (error) {
    if (isApiError(error, 404)) return 'gone'
    throw error
  }
}

function undoConntrack({ spec }: UndoContext, { netns, mark }: Of<'conntrack'>): Undone {
  if (!isThere(spec.name, netns)) return 'gone'
  using inside = ofLab(spec.name, netns)
  using netlink = new Netlink(NETLINK_NETFILTER, inside)
  deleteMarked(netlink, mark)
  return 'taken back'
}

function startAgain({ spec, causeway }: UndoContext, { node }: Of<'killed'>): Undone {
  const netns = nodeNetns(spec.name, node)
  if (!isThere(spec.name, netns) || labProcesses(spec.name).some(({ role }) => role === agentRole(node))) return 'gone'
  using inside = ofLab(spec.name, netns)
  startProcess({ ...agentStart(spec, node, causeway), netns: inside })
  return 'taken back'
}

async function endDaemon({ spec }: UndoContext, { role }: Of<'daemon'>): Promise<Undone> {
  if (!labProcesses(spec.name).some((each) => each.role === role)) return 'gone'
  await stopProcesses(spec.name, (each) => each === role, graceMs)
  return 'taken back'
}

function restoreUnderlay({ spec }: UndoContext, { node: name }: Of<'underlay'>): Undone {
  const node = labNodes(spec).find((each) => each.name === name)
  if (node === undefined) return 'gone'
  ensureNode(spec, node)
  return 'taken back'
}

/** Takes an act back. Throws LabError, ApiError or SysError when that fails; then it is to be tried again. */
export async function takeBack(context: UndoContext, made: Made): Promise<Undone> {
  const { spec, client } = context
  switch (made.kind) {
    case 'command':
    case 'restore':
      return undoCommand(context, made)
    case 'sysctl':
      return undoSysctl(context, made)
    case 'file':
      return undoFile(made)
    case 'created':
      return undoCreated(context, made)
    case 'patched':
      return undoPatched(context, made)
    case 'reregistered':
      await reregister(await client(), spec, made)
      return 'taken back'
    case 'conntrack':
      return undoConntrack(context, made)
    case 'daemon':
      return endDaemon(context, made)
    case 'killed':
      return startAgain(context, made)
    case 'frozen':
      signalProcesses(spec.name, (role) => role === agentRole(made.node), 'SIGCONT')
      return 'taken back'
    case 'underlay':
      return restoreUnderlay(context, made)
    default:
      return made satisfies never
  }
}
