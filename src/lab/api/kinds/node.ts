// Nodes: the behaviour of registry/core/node and its printer.
import { isIP } from 'node:net'
import { Prefix } from '#/lib/addr.ts'
import { forbiddenField, invalidValue, type Cause } from '../api-error.ts'
import { deepEqual, dig, isObject, list, objects, text, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { ageColumn, column, nameColumn, orNone } from './cells.ts'
import type { Column, Strategy } from './resource.ts'

const roleLabel = 'node-role.kubernetes.io/'

function roles({ metadata: { labels = {} } }: KubeObject): string {
  const found = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith(roleLabel) && key.length > roleLabel.length) return [key.slice(roleLabel.length)]
    return key === 'kubernetes.io/role' && value !== '' ? [value] : []
  })
  return orNone([...new Set(found)].toSorted().join(','))
}

function status(node: KubeObject): string {
  const ready = objects(dig(node, 'status', 'conditions')).find(({ type }) => type === 'Ready')
  const word = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'
  return dig(node, 'spec', 'unschedulable') === true ? `${word},SchedulingDisabled` : word
}

function address(node: KubeObject, type: string): string {
  const found = objects(dig(node, 'status', 'addresses')).find((candidate) => candidate['type'] === type)
  return orNone(text(found?.['address']))
}

const info = (node: KubeObject, key: string): string => text(dig(node, 'status', 'nodeInfo', key)) || '<unknown>'

export const nodeColumns: readonly Column[] = [
  nameColumn,
  column('Status', status, { description: 'The status of the node' }),
  column('Roles', roles, { description: 'The roles of the node' }),
  ageColumn,
  column('Version', (node) => text(dig(node, 'status', 'nodeInfo', 'kubeletVersion')), {
    description: 'Kubelet version',
  }),
  column('Internal-IP', (node) => address(node, 'InternalIP'), { wide: true }),
  column('External-IP', (node) => address(node, 'ExternalIP'), { wide: true }),
  column('OS-Image', (node) => info(node, 'osImage'), { wide: true }),
  column('Kernel-Version', (node) => info(node, 'kernelVersion'), { wide: true }),
  column('Container-Runtime', (node) => info(node, 'containerRuntimeVersion'), { wide: true }),
]

/** Keeps podCIDR equal to the first of podCIDRs: the two are forms of one field (pkg/apis/core/v1/conversion.go). */
function complete(node: KubeObject): KubeObject {
  const spec = isObject(node['spec']) ? node['spec'] : {}
  const ranges = list(spec['podCIDRs'])
  if (ranges.length > 0) return { ...node, spec: { ...spec, podCIDR: ranges[0]! } }
  const single = text(spec['podCIDR'])
  return { ...node, spec: single === '' ? spec : { ...spec, podCIDRs: [single] } }
}

function validate(node: KubeObject): Cause[] {
  const causes: Cause[] = []
  const ranges = list(dig(node, 'spec', 'podCIDRs')).map(text)
  for (const [index, range] of ranges.entries()) {
    if (Prefix.tryParse(range) === undefined) {
      causes.push(
        invalidValue(
          `spec.podCIDRs[${index}]`,
          range,
          'must be a valid address in CIDR form, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        ),
      )
    }
  }
  const families = new Set(ranges.map((range) => isIP(range.split('/')[0]!)))
  if (ranges.length > 2 || families.size < ranges.length) {
    causes.push(invalidValue('spec.podCIDRs', ranges, 'may specify no more than one CIDR for each IP family'))
  }
  return [...causes, ...checkTaints(objects(dig(node, 'spec', 'taints')))]
}

function checkTaints(taints: readonly JsonObject[]): Cause[] {
  const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']
  return taints.flatMap(({ effect }, index): Cause[] =>
    effects.includes(text(effect))
      ? []
      : [
          {
            reason: 'FieldValueNotSupported',
            message: `Unsupported value: ${JSON.stringify(effect)}: supported values: ${effects.map((name) => `"${name}"`).join(', ')}`,
            field: `spec.taints[${index}].effect`,
          },
        ],
  )
}

function validateUpdate(next: KubeObject, live: KubeObject): Cause[] {
  const before = list(dig(live, 'spec', 'podCIDRs'))
  const after = list(dig(next, 'spec', 'podCIDRs'))
  const causes: Cause[] = []
  if (before.length > 0 && !deepEqual(before, after)) {
    causes.push(forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'))
  }
  const provider = text(dig(live, 'spec', 'providerID'))
  if (provider !== '' && provider !== dig(next, 'spec', 'providerID')) {
    causes.push(forbiddenField('spec.providerID', 'node updates may not change providerID except from "" to valid'))
  }
  return causes
}

export const nodeStrategy: Strategy = { complete, validate, validateUpdate }
