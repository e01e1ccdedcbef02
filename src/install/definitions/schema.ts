// Structural schemas of our definitions: a few words for what occurs in all of them. A member without a description would be a
// blank in "kubectl explain", so there is none.
import { asnRange, bgpRanges, communityNames, reservedAsns } from '#/model/bgp-limits.ts'
import { type NumberRange } from '#/model/spec-reader.ts'

export type Schema = { readonly type?: string; readonly description: string; readonly [keyword: string]: unknown }

export function text(description: string, keywords: object = {}): Schema {
  return { type: 'string', description, ...keywords }
}

export function flag(description: string, keywords: object = {}): Schema {
  return { type: 'boolean', description, ...keywords }
}

export function whole(description: string, { min, max }: NumberRange, keywords: object = {}): Schema {
  const format = max > 0x7fff_ffff ? 'int64' : 'int32'
  return { type: 'integer', format, description, minimum: min, maximum: max, ...keywords }
}

export function choice(description: string, choices: readonly string[], keywords: object = {}): Schema {
  return { type: 'string', description, enum: choices, ...keywords }
}

export function list(description: string, items: object, keywords: object = {}): Schema {
  return { type: 'array', description, items, ...keywords }
}

export function mapping(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  keywords: object = {},
): Schema {
  return { type: 'object', description, properties, ...keywords }
}

/** A mapping whose members have defaults: the API fills these in even when the mapping is left out. */
export const defaulted = { default: {} } as const

export function asn(description: string, keywords: object = {}): Schema {
  return whole(description, asnRange, { not: { enum: reservedAsns }, ...keywords })
}

/** A hold time of 0, or of at least 3 seconds (RFC 4271 section 4.2). */
export const holdTime = { anyOf: [{ enum: [0] }, { minimum: 3 }] } as const

export function communities(description: string): Schema {
  const pattern = `^([0-9]{1,5}:[0-9]{1,5}|[0-9]{1,10}:[0-9]{1,10}:[0-9]{1,10}|${communityNames.join('|')})$`
  return list(description, { type: 'string', pattern }, { maxItems: 32 })
}

const labelText = { type: 'string', maxLength: 63 } as const

/** metav1.LabelSelector. */
export function nodeSelector(description: string): Schema {
  return mapping(description, {
    matchLabels: {
      type: 'object',
      description: 'Labels that a node must have.',
      additionalProperties: labelText,
    },
    matchExpressions: list('Requirements on labels, all of which must hold.', {
      ...mapping('A requirement on one label.', {
        key: text('The label.', { minLength: 1, maxLength: 317 }),
        operator: choice('How the label relates to the values.', ['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: list('For In and NotIn: at least one.', labelText),
      }),
      required: ['key', 'operator'],
    }),
  })
}

export function secretRef(description: string, key: string): Schema {
  const name = { minLength: 1, maxLength: 253 }
  return mapping(
    description,
    {
      name: text('Name of the Secret.', name),
      key: text('Key of the password in it. A newline at its end is no part of it.', { ...name, default: key }),
      namespace: text(
        'Namespace of the Secret; where Causeway is installed, unless told. For another one, agents must be given the right to get it.',
        { minLength: 1, maxLength: 63 },
      ),
    },
    { required: ['name'] },
  )
}

export const cidrPattern = '^[0-9a-fA-F:.]{2,45}/[0-9]{1,3}$'
export const addressPattern = '^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$'

export function prefixes(description: string): Schema {
  return list(description, {
    ...mapping('A CIDR, and how long prefixes within it may be.', {
      cidr: text('The CIDR.', { pattern: cidrPattern }),
      minLength: whole('Shortest prefix that matches; the length of the CIDR, unless told.', bgpRanges.prefixLength),
      maxLength: whole('Longest prefix that matches; the length of the CIDR, unless told.', bgpRanges.prefixLength),
    }),
    required: ['cidr'],
  })
}
