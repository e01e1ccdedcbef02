// Names and labels as Kubernetes accepts them (apimachinery pkg/util/validation), and the metadata of any object.
import { duplicate, forbiddenField, invalidValue, required, type Cause } from '../api-error.ts'
import { deepEqual } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { isLabelValue } from '../selectors.ts'

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const nameExample =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const valueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

const annotationsLimitBytes = 256 * 1024

/** What is wrong with an RFC 1123 subdomain of at most 253 characters; undefined when it is one. */
export function subdomainFault(name: string): string | undefined {
  if (name.length > 253) return 'must be no more than 253 bytes'
  return subdomain.test(name) ? undefined : subdomainRule
}

/** What is wrong with an RFC 1123 label of at most 63 characters. */
export function labelFault(name: string): string | undefined {
  if (name.length > 63) return 'must be no more than 63 bytes'
  return label.test(name) ? undefined : labelRule
}

/** What is wrong with the key of a label or annotation (IsQualifiedName). */
export function keyFaults(key: string): string[] {
  const parts = key.split('/')
  if (parts.length > 2)
    return [
      `a valid label key ${nameExample} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  const [name = '', prefix] = parts.toReversed()
  const faults: string[] = []
  const prefixFault = prefix === undefined ? undefined : prefix === '' ? 'must be non-empty' : subdomainFault(prefix)
  if (prefixFault !== undefined) faults.push(`prefix part ${prefixFault}`)
  if (name === '') faults.push('name part must be non-empty')
  else if (name.length > 63) faults.push('name part must be no more than 63 bytes')
  if (!/^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name)) faults.push(`name part ${nameExample}`)
  return faults
}

/** What is wrong with the value of a label. */
export function valueFault(value: string): string | undefined {
  if (value.length > 63) return 'must be no more than 63 bytes'
  return isLabelValue(value) ? undefined : valueRule
}

/** What is wrong with an object's metadata. */
export function checkMeta({ metadata }: KubeObject, nameFault: (name: string) => string | undefined): Cause[] {
  const {
    name = '',
    generateName = '',
    labels = {},
    annotations = {},
    finalizers = [],
    ownerReferences = [],
  } = metadata
  const causes: Cause[] = []
  if (name === '') causes.push(required('metadata.name', generateName === '' ? 'name or generateName is required' : ''))
  else {
    const fault = nameFault(name)
    if (fault !== undefined) causes.push(invalidValue('metadata.name', name, fault))
  }
  for (const [key, value] of Object.entries(labels)) {
    for (const fault of keyFaults(key)) causes.push(invalidValue('metadata.labels', key, fault))
    const fault = valueFault(value)
    if (fault !== undefined) causes.push(invalidValue('metadata.labels', value, fault))
  }
  for (const key of Object.keys(annotations)) {
    for (const fault of keyFaults(key.toLowerCase())) causes.push(invalidValue('metadata.annotations', key, fault))
  }
  const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (size > annotationsLimitBytes) {
    causes.push({
      reason: 'FieldValueInvalid',
      message: `Too long: may not be more than ${annotationsLimitBytes} bytes`,
      field: 'metadata.annotations',
    })
  }
  for (const finalizer of finalizers) {
    for (const fault of keyFaults(finalizer)) causes.push(invalidValue('metadata.finalizers', finalizer, fault))
  }
  return [...causes, ...checkOwners(ownerReferences)]
}

function checkOwners(owners: NonNullable<KubeObject['metadata']['ownerReferences']>): Cause[] {
  const causes: Cause[] = []
  for (const [index, { apiVersion, kind, name, uid }] of owners.entries()) {
    for (const [field, value] of Object.entries({ apiVersion, kind, name, uid })) {
      if (value === '')
        causes.push(invalidValue(`metadata.ownerReferences[${index}].${field}`, value, `${field} must not be empty`))
    }
  }
  const controllers = owners.filter(({ controller }) => controller === true)
  if (controllers.length > 1) {
    causes.push(
      invalidValue(
        'metadata.ownerReferences',
        controllers[1]!.name,
        'Only one reference can have Controller set to true',
      ),
    )
  }
  return causes
}

/** What is wrong with an update's metadata: some of it may not change. */
export function checkMetaUpdate(next: KubeObject, live: KubeObject): Cause[] {
  const causes: Cause[] = []
  for (const key of ['name', 'namespace', 'uid', 'creationTimestamp'] as const) {
    const [after, before] = [next.metadata[key], live.metadata[key]]
    if (!deepEqual(after, before)) causes.push(invalidValue(`metadata.${key}`, after ?? '', 'field is immutable'))
  }
  const added = (next.metadata.finalizers ?? []).filter((name) => live.metadata.finalizers?.includes(name) !== true)
  if (live.metadata.deletionTimestamp !== undefined && added.length > 0) {
    causes.push(
      forbiddenField(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      ),
    )
  }
  return causes
}

/** The places of items that repeat an earlier item's key. */
export function duplicates(items: readonly { readonly at: string; readonly key: string }[]): Cause[] {
  const seen = new Set<string>()
  return items.flatMap(({ at, key }) => {
    if (seen.has(key)) return [duplicate(at, key)]
    seen.add(key)
    return []
  })
}
