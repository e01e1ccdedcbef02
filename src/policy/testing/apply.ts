// Does to the objects of a cluster what a suggested change says, as a user would: by its command.
import assert from 'node:assert/strict'
import { parse } from 'yaml'
import { isKubeObject, type KubeObject } from '#/model/kubernetes.ts'
import { type SuggestedChange } from '../change.ts'
import { type ClusterObjects, type SpecObject } from './cluster-objects.ts'

type Step = { readonly op: string; readonly path: string; readonly value?: unknown }

/** JSON patch (RFC 6902), as far as suggestions go. */
function patched<T extends object>(object: T, { op, path, value }: Step): T {
  const copy = structuredClone(object)
  const keys = path.split('/').slice(1)
  const last = keys.pop()!
  let at: unknown = copy
  for (const key of keys) at = (at as Record<string, unknown>)[key]
  if (Array.isArray(at)) {
    const place = last === '-' ? at.length : Number(last)
    assert.ok(place >= 0 && place <= at.length - (op === 'remove' ? 1 : 0), `${path} is a place in the list`)
    if (op === 'remove') at.splice(place, 1)
    else at.splice(place, 0, value)
  } else {
    assert.equal(op, 'add')
    Object.assign(at as object, { [last]: value })
  }
  return copy
}

function labelled<T extends KubeObject>(object: T, words: readonly string[]): T {
  const labels = new Map(Object.entries((object.metadata.labels ?? {}) as Record<string, string>))
  for (const word of words) {
    const [key = '', label] = word.split('=')
    if (label === undefined) assert.ok(labels.delete(key.replace(/-$/, '')), `${word} is a label that was there`)
    else labels.set(key, label)
  }
  return { ...object, metadata: { ...object.metadata, labels: Object.fromEntries(labels) } }
}

const isNamed = ({ metadata }: KubeObject, name: string | undefined, namespace?: string): boolean =>
  metadata.name === name && (namespace === undefined || metadata.namespace === namespace)

function appliedCommand(objects: ClusterObjects, command: string, yaml: string | undefined): ClusterObjects {
  const [program, verb, kind, ...rest] = command.split(' ')
  assert.equal(program, 'kubectl')
  if (verb === 'apply') {
    const object: unknown = parse(yaml!)
    assert.ok(isKubeObject(object))
    return object.kind === 'NetworkPolicy'
      ? { ...objects, networkPolicies: [...objects.networkPolicies, object as SpecObject] }
      : { ...objects, clusterNetworkPolicies: [...objects.clusterNetworkPolicies, object as SpecObject] }
  }
  const [name] = rest
  const namespace = rest[1] === '-n' ? rest[2] : undefined
  if (verb === 'label') {
    const words = rest.slice(rest.indexOf('--overwrite') + 1)
    if (kind === 'namespace')
      return {
        ...objects,
        namespaces: objects.namespaces.map((each) => (isNamed(each, name) ? labelled(each, words) : each)),
      }
    assert.equal(kind, 'pod')
    return {
      ...objects,
      pods: objects.pods.map((each) => (isNamed(each, name, namespace) ? labelled(each, words) : each)),
    }
  }
  assert.equal(verb, 'patch')
  const steps = JSON.parse(/ --type=json -p '(.*)'$/s.exec(command)![1]!) as Step[]
  const patchedOnes = (all: readonly SpecObject[]): SpecObject[] =>
    all.map((each) =>
      isNamed(each, name, namespace) ? steps.reduce((object, step) => patched(object, step), each) : each,
    )
  return kind === 'networkpolicy'
    ? { ...objects, networkPolicies: patchedOnes(objects.networkPolicies) }
    : { ...objects, clusterNetworkPolicies: patchedOnes(objects.clusterNetworkPolicies) }
}

export function applied(objects: ClusterObjects, { command, yaml }: SuggestedChange): ClusterObjects {
  return command!.split(' && ').reduce((before, each) => appliedCommand(before, each, yaml), objects)
}
