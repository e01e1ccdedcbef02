// Pods: the behaviour of registry/core/pod.
import { forbiddenField, invalidValue, required, type Cause } from '../api-error.ts'
import { deepEqual, dig, isArray, isObject, objects, text, without, type Json, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { duplicates, labelFault } from './names.ts'
import type { Strategy } from './resource.ts'

const specOf = (pod: KubeObject): JsonObject => (isObject(pod['spec']) ? pod['spec'] : {})

const podDefaults: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  securityContext: {},
  schedulerName: 'default-scheduler',
  enableServiceLinks: true,
}

/** SetDefaults_Container: an untagged or :latest image is always pulled. */
function completeContainer(container: Json): Json {
  if (!isObject(container)) return container
  const image = text(container['image'])
  const tag = /:([^/:@]+)(@|$)/.exec(image)?.[1]
  const pulls = image.includes('@') ? 'IfNotPresent' : tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent'
  return {
    imagePullPolicy: pulls,
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    ...container,
    ...(isArray(container['ports'])
      ? { ports: container['ports'].map((port) => (isObject(port) ? { protocol: 'TCP', ...port } : port)) }
      : {}),
  }
}

function complete(pod: KubeObject): KubeObject {
  const spec = specOf(pod)
  const account = text(spec['serviceAccountName']) || text(spec['serviceAccount']) || 'default'
  const lists = ['containers', 'initContainers'].flatMap((key): [string, Json][] => {
    const containers = spec[key]
    return isArray(containers) ? [[key, containers.map(completeContainer)]] : []
  })
  return {
    ...pod,
    spec: {
      ...podDefaults,
      ...spec,
      serviceAccountName: account,
      serviceAccount: account,
      ...Object.fromEntries(lists),
    },
  }
}

/** The tolerations that admission gives every pod, so that it survives a short outage of its node. */
function withOutageTolerations(spec: JsonObject): JsonObject {
  const present = objects(spec['tolerations'])
  const keys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
  const added = keys
    .filter(
      (key) =>
        !present.some(
          (toleration) =>
            toleration['key'] === key || (toleration['key'] === undefined && toleration['operator'] === 'Exists'),
        ),
    )
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }))
  return { ...spec, tolerations: [...present, ...added] }
}

function qosClass(spec: JsonObject): string {
  const all = [...objects(spec['containers']), ...objects(spec['initContainers'])]
  const limits = all.map((container) => dig(container, 'resources', 'limits') ?? {})
  const requests = all.map((container) => dig(container, 'resources', 'requests') ?? {})
  if ([...limits, ...requests].every((amounts) => Object.keys(amounts ?? {}).length === 0)) return 'BestEffort'
  const isGuaranteed = limits.every((limit, index) =>
    ['cpu', 'memory'].every(
      (name) =>
        dig(limit, name) !== undefined && deepEqual(dig(limit, name), dig(requests[index], name) ?? dig(limit, name)),
    ),
  )
  return isGuaranteed ? 'Guaranteed' : 'Burstable'
}

function prepareCreate(pod: KubeObject): KubeObject {
  const spec = withOutageTolerations({ priority: 0, preemptionPolicy: 'PreemptLowerPriority', ...specOf(pod) })
  return { ...pod, spec, status: { phase: 'Pending', qosClass: qosClass(spec) } }
}

function validate(pod: KubeObject): Cause[] {
  const spec = specOf(pod)
  const containers = objects(spec['containers'])
  const causes: Cause[] = containers.length === 0 ? [required('spec.containers')] : []
  const named = ['initContainers', 'containers'].flatMap((key) =>
    objects(spec[key]).map((container, index) => ({
      at: `spec.${key}[${index}].name`,
      key: text(container['name']),
      container,
      list: key,
      index,
    })),
  )
  for (const { at, key, container, list, index } of named) {
    const fault = key === '' ? undefined : labelFault(key)
    if (key === '') causes.push(required(at))
    else if (fault !== undefined) causes.push(invalidValue(at, key, fault))
    if (text(container['image']) === '') causes.push(required(`spec.${list}[${index}].image`))
  }
  causes.push(...duplicates(named.filter(({ key }) => key !== '')))
  const policy = text(spec['restartPolicy'])
  if (!['Always', 'OnFailure', 'Never'].includes(policy)) {
    causes.push({
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: "${policy}": supported values: "Always", "OnFailure", "Never"`,
      field: 'spec.restartPolicy',
    })
  }
  return causes
}

const immutableMessage =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** The specification without the fields that may change after creation (ValidatePodUpdate). */
function frozen(spec: JsonObject): JsonObject {
  const bare = (value: Json | undefined): Json => objects(value).map((container) => without(container, 'image'))
  const rest = without(spec, 'activeDeadlineSeconds', 'tolerations', 'schedulingGates')
  return { ...rest, containers: bare(spec['containers']), initContainers: bare(spec['initContainers']) }
}

function validateUpdate(next: KubeObject, live: KubeObject): Cause[] {
  const [after, before] = [specOf(next), specOf(live)]
  const causes: Cause[] = deepEqual(frozen(after), frozen(before)) ? [] : [forbiddenField('spec', immutableMessage)]
  const kept = objects(before['tolerations']).every((old) =>
    objects(after['tolerations']).some((toleration) => deepEqual(old, toleration)),
  )
  if (!kept)
    causes.push(
      forbiddenField('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'),
    )
  return causes
}

/** CheckGracefulDelete: a pod that has no node or has ended is deleted at once. */
function gracePeriodSeconds(pod: KubeObject, requestedSeconds: number | undefined): number {
  const phase = dig(pod, 'status', 'phase')
  if (text(specOf(pod)['nodeName']) === '' || phase === 'Failed' || phase === 'Succeeded') return 0
  const own = specOf(pod)['terminationGracePeriodSeconds']
  return Math.max(requestedSeconds ?? (typeof own === 'number' ? own : 30), 0)
}

export const podStrategy: Strategy = { prepareCreate, complete, validate, validateUpdate, gracePeriodSeconds }

/** The pod bound to `node`, as by the binding subresource. */
export function bindPod(pod: KubeObject, node: string, now: string): KubeObject {
  const conditions = objects(dig(pod, 'status', 'conditions')).filter(({ type }) => type !== 'PodScheduled')
  const scheduled = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now }
  const status = isObject(pod['status']) ? pod['status'] : {}
  return {
    ...pod,
    spec: { ...specOf(pod), nodeName: node },
    status: { ...status, conditions: [...conditions, scheduled] },
  }
}
