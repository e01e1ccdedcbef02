// The schema of an object: JSON Schema as Kubernetes uses it (OpenAPI v3 "structural" schemas with x-kubernetes
// extensions). Built-in kinds and CustomResourceDefinitions share it, so that validation, pruning, defaulting, strategic
// merge and server-side apply are written once.
import type { Json } from '../json.ts'

export type Schema = {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly description?: string
  readonly default?: Json
  readonly nullable?: boolean
  readonly enum?: readonly Json[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: boolean
  readonly exclusiveMaximum?: boolean
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly allOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly not?: Schema
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-embedded-resource'?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular'
  readonly 'x-kubernetes-patch-strategy'?: string
  readonly 'x-kubernetes-patch-merge-key'?: string
  readonly 'x-kubernetes-group-version-kind'?: readonly Gvk[]
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[]
}

/** A rule in CEL (apiextensions.k8s.io/v1 ValidationRule), as far as it is looked at. */
export type ValidationRule = {
  readonly rule: string
  readonly message?: string
  readonly fieldPath?: string
}

export type Gvk = { readonly group: string; readonly version: string; readonly kind: string }

/** Named schemas; a $ref is "#/definitions/<name>". */
export type Definitions = ReadonlyMap<string, Schema>

export const refPrefix = '#/definitions/'

/** A schema with the definitions for its references: one position in an object's type. */
export class SchemaNode {
  readonly schema: Schema
  readonly #definitions: Definitions

  constructor(schema: Schema, definitions: Definitions) {
    this.#definitions = definitions
    this.schema = schema.$ref === undefined ? schema : { ...this.#target(schema.$ref), ...dropRef(schema) }
  }

  #target(ref: string): Schema {
    const found = this.#definitions.get(ref.slice(refPrefix.length))
    if (found === undefined) throw new Error(`the schema refers to ${ref}, which is not defined`)
    return found
  }

  /** The type of member `key`; undefined when the schema does not know it. */
  member(key: string): SchemaNode | undefined {
    const known = this.property(key)
    if (known !== undefined) return known
    const { additionalProperties } = this.schema
    return isSchema(additionalProperties) ? this.#at(additionalProperties) : undefined
  }

  /** The type of a declared property, but not of a map's member. */
  property(key: string): SchemaNode | undefined {
    const { properties } = this.schema
    return properties !== undefined && Object.hasOwn(properties, key) ? this.#at(properties[key]!) : undefined
  }

  get items(): SchemaNode | undefined {
    return this.schema.items === undefined ? undefined : this.#at(this.schema.items)
  }

  /** Whether members that the schema does not name are kept rather than pruned. */
  get keepsUnknown(): boolean {
    const { schema } = this
    if (schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true) return true
    return schema.properties === undefined && schema.additionalProperties === undefined
  }

  #at(schema: Schema): SchemaNode {
    return schema.$ref === undefined && this.schema === schema ? this : new SchemaNode(schema, this.#definitions)
  }
}

export function isSchema(value: Schema | boolean | undefined): value is Schema {
  return typeof value === 'object'
}

function dropRef(schema: Schema): Schema {
  const { $ref: _, ...rest } = schema
  return rest
}
