// The columns of pods: printPod of pkg/printers/internalversion/printers.go.
import { dig, objects, text, type Json, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { age, ageColumn, column, nameColumn, orNone } from './cells.ts'
import type { Column } from './resource.ts'

const statuses = (pod: KubeObject, key: string): readonly JsonObject[] => objects(dig(pod, 'status', key))

function ready(pod: KubeObject): string {
  const total = objects(dig(pod, 'spec', 'containers')).length
  const running = statuses(pod, 'containerStatuses').filter(
    (one) => one['ready'] === true && dig(one, 'state', 'running') !== undefined,
  )
  return `${running.length}/${total}`
}

function initReason(pod: KubeObject): string | undefined {
  const total = objects(dig(pod, 'spec', 'initContainers')).length
  for (const [index, one] of statuses(pod, 'initContainerStatuses').entries()) {
    const ended = dig(one, 'state', 'terminated')
    if (ended !== undefined && dig(ended, 'exitCode') === 0) continue
    if (ended !== undefined) return `Init:${endReason(ended)}`
    const waiting = text(dig(one, 'state', 'waiting', 'reason'))
    return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${index}/${total}`
  }
  return undefined
}

function endReason(ended: Json): string {
  const signal = dig(ended, 'signal')
  return (
    text(dig(ended, 'reason')) ||
    (typeof signal === 'number' && signal !== 0 ? `Signal:${signal}` : `ExitCode:${Number(dig(ended, 'exitCode'))}`)
  )
}

function containerReason(pod: KubeObject, fallback: string): string {
  let reason = fallback
  let isRunning = false
  for (const one of statuses(pod, 'containerStatuses').toReversed()) {
    const waiting = text(dig(one, 'state', 'waiting', 'reason'))
    const ended = dig(one, 'state', 'terminated')
    if (waiting !== '') reason = waiting
    else if (ended !== undefined) reason = endReason(ended)
    else if (one['ready'] === true && dig(one, 'state', 'running') !== undefined) isRunning = true
  }
  if (reason !== 'Completed' || !isRunning) return reason
  const isReady = statuses(pod, 'conditions').some((one) => one['type'] === 'Ready' && one['status'] === 'True')
  return isReady ? 'Running' : 'NotReady'
}

function status(pod: KubeObject): string {
  const given = text(dig(pod, 'status', 'reason'))
  const phase = given || text(dig(pod, 'status', 'phase'))
  const gated = statuses(pod, 'conditions').some(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  )
  const shown = initReason(pod) ?? containerReason(pod, gated ? 'SchedulingGated' : phase)
  if (pod.metadata.deletionTimestamp === undefined) return shown
  if (given === 'NodeLost') return 'Unknown'
  return phase === 'Failed' || phase === 'Succeeded' ? shown : 'Terminating'
}

function restarts(pod: KubeObject, now: Date): string {
  const all = statuses(pod, 'containerStatuses')
  const count = all.reduce((sum, one) => sum + Number(one['restartCount'] ?? 0), 0)
  const last =
    all
      .map((one) => text(dig(one, 'lastState', 'terminated', 'finishedAt')))
      .toSorted()
      .at(-1) ?? ''
  return count > 0 && last !== '' ? `${count} (${age(last, now)} ago)` : String(count)
}

function address(pod: KubeObject): string {
  const first = objects(dig(pod, 'status', 'podIPs'))[0]
  return orNone(text(first?.['ip']) || text(dig(pod, 'status', 'podIP')))
}

function gates(pod: KubeObject): string {
  const wanted = objects(dig(pod, 'spec', 'readinessGates'))
  if (wanted.length === 0) return '<none>'
  const met = wanted.filter(({ conditionType }) =>
    statuses(pod, 'conditions').some((one) => one['type'] === conditionType && one['status'] === 'True'),
  )
  return `${met.length}/${wanted.length}`
}

export const podColumns: readonly Column[] = [
  nameColumn,
  column('Ready', ready, { description: 'How many of the containers are ready.' }),
  column('Status', status, { description: 'The phase of the pod, or why it is not running.' }),
  column('Restarts', restarts, { description: 'How often containers were restarted.' }),
  ageColumn,
  column('IP', address, { wide: true }),
  column('Node', (pod) => orNone(text(dig(pod, 'spec', 'nodeName'))), { wide: true }),
  column('Nominated Node', (pod) => orNone(text(dig(pod, 'status', 'nominatedNodeName'))), { wide: true }),
  column('Readiness Gates', gates, { wide: true }),
]
