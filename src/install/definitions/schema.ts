// Structural schemas of our definitions: a few words for what occurs in all of them. A member without a description would be a
// blank in "kubectl explain", so there is none.
import { asnRange, bgpRanges, communityNames, devicePattern, reservedAsns } from '#/model/bgp-limits.ts'
import { type NumberRange } from '#/model/spec-reader.ts'

export type Schema = { readonly type?: string; readonly description: string; readonly [keyword: string]: unknown }

/**
 * A rule that the API server evaluates (CEL; https://kubernetes.io/docs/reference/using-api/cel/), and what it answers where the rule does
 * not hold. `fieldPath` is the field within the schema that the answer is about.
 */
export type Check = {
  readonly rule: string
  readonly message: string
  readonly fieldPath?: string
}

/**
 * The keyword with rules for a schema. The server estimates what a rule costs from the longest texts and lists that the schema allows, and
 * refuses a definition whose rules could cost too much: so each text that a rule reads has a maxLength, and each list a maxItems.
 */
export function checked(...rules: readonly Check[]): object {
  return { 'x-kubernetes-validations': rules }
}

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

/** The rule that `self` is none of the reserved AS numbers. */
export const notReserved: Check = {
  rule: `!(self in [${reservedAsns.join(', ')}])`,
  message: `${reservedAsns.join(' and ')} are reserved and no AS's numbers`,
}

export function asn(description: string, keywords: object = {}): Schema {
  return whole(description, asnRange, { ...checked(notReserved), ...keywords })
}

/** A hold time of 0, or of at least 3 seconds (RFC 4271 section 4.2). */
export const holdTime = checked({ rule: 'self == 0 || self >= 3', message: 'expected 0 (never) or at least 3 seconds' })

/** A list of texts in a rule. */
function textsIn(texts: readonly string[]): string {
  return `[${texts.map((each) => `'${each}'`).join(', ')}]`
}

/** Decimal numbers up to 65,535 and 4,294,967,295, without leading zeros. */
const uint16 = '(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])'
const uint32 =
  '(0|[1-9][0-9]{0,8}|[1-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-5])'

const community: Check = {
  // the colon in front makes all parts alike: a pattern with each number written out once is half as long, and its cost counts
  rule: `self in ${textsIn(communityNames)} || (':' + self).matches('^((:${uint16}){2}|(:${uint32}){3})$')`,
  message: `expected 65000:1 (two numbers up to 65535), 65000:1:2 (three up to 4294967295) or one of ${communityNames.join(', ')}`,
}

export function communities(description: string): Schema {
  return list(description, { type: 'string', maxLength: 32, ...checked(community) }, { maxItems: 32 })
}

const address: Check = {
  rule: 'isIP(self)',
  message: 'expected an IP address such as 192.0.2.1 or fd00::1, without a length, a device or a port',
}

/** Unspecified, loopback, multicast and reserved addresses, as `isNobodys` of src/model/bgp-objects.ts has them. */
const nobodysCidrs = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'ff00::/8']

const nobodys: Check = {
  rule: `!isIP(self) || !${textsIn(nobodysCidrs)}.exists(each, cidr(each).containsIP(ip(self)))`,
  message: "an unspecified, loopback, multicast, broadcast or reserved address cannot be a neighbour's",
}

export function neighbourAddress(description: string): Schema {
  return text(description, { maxLength: 45, ...checked(address, nobodys) })
}

/** A router id: 32 bits but 0 (RFC 6286). */
export function routerId(description: string): Schema {
  const rule = 'isIP(self) && ip(self).family() == 4 && !ip(self).isUnspecified()'
  const message = 'expected a router id such as 192.0.2.1: four numbers up to 255, not all of them 0'
  return text(description, { maxLength: 15, ...checked({ rule, message }) })
}

/** Device names as `deviceFault` has them. */
export function deviceName(description: string): Schema {
  const rule = `self.matches('${devicePattern}') && !(self in ['.', '..'])`
  const message = 'is no name of a device: expected up to 15 ASCII characters without blanks, "/" and ":"'
  return text(description, { maxLength: 15, ...checked({ rule, message }) })
}

const labelText = { type: 'string', maxLength: 63 } as const

/** metav1.LabelSelectorRequirement. */
const values: Check = {
  rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : !has(self.values) || self.values.size() == 0",
  message: 'In and NotIn need at least one value; Exists and DoesNotExist have none',
}

/** metav1.LabelSelector. */
export function nodeSelector(description: string): Schema {
  return mapping(description, {
    matchLabels: {
      type: 'object',
      description: 'Labels that a node must have.',
      additionalProperties: labelText,
      maxProperties: 64,
    },
    matchExpressions: list(
      'Requirements on labels, all of which must hold.',
      {
        ...mapping('A requirement on one label.', {
          key: text('The label.', { minLength: 1, maxLength: 317 }),
          operator: choice('How the label relates to the values.', ['In', 'NotIn', 'Exists', 'DoesNotExist']),
          values: list('For In and NotIn: at least one.', labelText, { maxItems: 256 }),
        }),
        required: ['key', 'operator'],
        ...checked(values),
      },
      { maxItems: 64 },
    ),
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

/** The CIDR of an item of `prefixes`. Where it is none, only that is told. */
const cidr: readonly Check[] = [
  { rule: 'isCIDR(self)', message: 'expected a CIDR such as 10.0.0.0/8 or fd00::/8' },
  {
    // "in" and not "==": a server that has no estimate for the comparison of two CIDRs counts it as unbounded, and refuses the rule
    rule: '!isCIDR(self) || cidr(self).masked() in [cidr(self)]',
    message: 'has bits set beyond its length: write 10.1.0.0/16, not 10.1.2.3/16',
  },
]

/** A length that prefixes within a CIDR can have. */
function lengthWithin(field: 'minLength' | 'maxLength'): Check {
  return {
    rule: `!has(self.${field}) || !isCIDR(self.cidr) || (self.${field} >= cidr(self.cidr).prefixLength() && (self.${field} <= 32 || cidr(self.cidr).ip().family() == 6))`,
    message: 'expected a length from that of the CIDR to 32 (IPv4) or 128 (IPv6)',
    fieldPath: `.${field}`,
  }
}

const lengthOrder: Check = {
  rule: '!has(self.minLength) || !isCIDR(self.cidr) || self.minLength <= (has(self.maxLength) ? self.maxLength : cidr(self.cidr).prefixLength())',
  message: 'no prefix matches: minLength is more than maxLength, which is the length of the CIDR where it is not given',
}

/** How many entries a list of prefixes may have. */
const maxPrefixEntries = 256

export function prefixes(description: string): Schema {
  return list(
    description,
    {
      ...mapping('A CIDR, and how long prefixes within it may be.', {
        cidr: text('The CIDR.', { maxLength: 43, ...checked(...cidr) }),
        minLength: whole('Shortest prefix that matches; the length of the CIDR, unless told.', bgpRanges.prefixLength),
        maxLength: whole('Longest prefix that matches; the length of the CIDR, unless told.', bgpRanges.prefixLength),
      }),
      required: ['cidr'],
      ...checked(lengthWithin('minLength'), lengthWithin('maxLength'), lengthOrder),
    },
    { maxItems: maxPrefixEntries },
  )
}
