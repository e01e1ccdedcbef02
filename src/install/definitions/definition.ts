// A CustomResourceDefinition of the group causeway.dev (apiextensions.k8s.io/v1).
import { labelsOf, type Manifest } from '../settings.ts'
import { checked, defaulted, type Schema } from './schema.ts'

export const group = 'causeway.dev'
export const version = 'v1alpha1'

export type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean' | 'date'
  readonly jsonPath: string
  readonly description: string
  /** With 1, the column is shown with "-o wide" only. */
  readonly priority?: 1
}

export type KindOptions = {
  readonly kind: string
  readonly plural: string
  readonly shortName: string
  readonly description: string
  /** The only name that an object of this kind may have. */
  readonly onlyName?: string
  readonly spec: Schema
  readonly isSpecRequired?: true
  readonly status?: Schema
  readonly columns: readonly Column[]
}

const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was made.',
}

export function definition(options: KindOptions): Manifest {
  const { kind, plural, shortName, description, onlyName, spec, isSpecRequired, status, columns } = options
  const named = checked({
    rule: `self.metadata.name == '${onlyName}'`,
    message: `there is one ${kind} in a cluster, and its name is "${onlyName}"`,
    fieldPath: '.metadata.name',
  })
  // a rule may point only to a field that the schema has
  const metadata = { type: 'object', properties: { name: { type: 'string' } } }
  const schema = {
    type: 'object',
    description,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: onlyName === undefined ? { type: 'object' } : metadata,
      spec: isSpecRequired ? spec : { ...spec, ...defaulted },
      ...(status && { status }),
    },
    ...(isSpecRequired && { required: ['spec'] }),
    ...(onlyName !== undefined && named),
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: labelsOf('causeway') },
    spec: {
      group,
      scope: 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames: [shortName] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: [...columns, age],
        },
      ],
    },
  }
}
