// Generates values that match a schema, for tests of the table of operations.
import fc from 'fast-check'
import { type GenericSchema } from 'valibot'

/** The parts of a schema that determine its values. */
type Parts = {
  readonly type: string
  readonly entries?: Readonly<Record<string, GenericSchema>>
  readonly item?: GenericSchema
  readonly wrapped?: GenericSchema
  /** Of a record. */
  readonly value?: GenericSchema
  readonly options?: readonly unknown[]
  readonly pipe?: readonly Check[]
}

/** A part of a pipe: a schema, or a limit of numbers. */
type Check = { readonly type: string; readonly requirement?: unknown }

function partsOf(schema: GenericSchema): Parts {
  return schema
}

/** Generators for strings whose form the schema does not show, by the name of their field. */
const formed: Readonly<Record<string, fc.Arbitrary<string>>> = {
  addr: fc.oneof(fc.ipV4(), fc.constantFrom('fd00::1', '::ffff:10.0.0.1')),
  prefix: fc.constantFrom('10.244.1.0/24', 'fd10:244::/48', '0.0.0.0/0', '::/0'),
  from: fc.constantFrom('10.244.1.5', 'fd00::1'),
  to: fc.constantFrom('10.244.1.5', 'fd00::1'),
  port: fc.constantFrom('0', '5432', '65535'),
  src: fc.constantFrom('10.244.1.5', 'fd00::1'),
  dst: fc.constantFrom('10.244.1.5', 'fd00::1'),
  outerSrc: fc.constantFrom('192.0.2.1', '2001:db8::1'),
  sourcePort: fc.constantFrom('1', '65535'),
  sizeBytes: fc.constantFrom('28', '65535'),
  cookie: fc.constantFrom('0123456789abcdef', 'ffffffffffffffff'),
  seq: fc.constantFrom('0', '4294967295'),
  seconds: fc.constantFrom('1', '30'),
  packets: fc.constantFrom('1', '10000'),
  bytes: fc.uint8Array({ maxLength: 256 }).map((bytes) => bytes.toHex()),
  peer: fc.string({ minLength: 1, unit: 'grapheme' }),
}

/** Any value that matches `schema`; `params` is true for a value of a request, where strings may need a certain form (`formed`); those that are checked need it everywhere. */
export function valueOf(schema: GenericSchema, params = false, name = ''): fc.Arbitrary<unknown> {
  const { type, entries = {}, item, wrapped, value, options = [], pipe = [] } = partsOf(schema)
  if (type === 'object') {
    const fields = Object.entries(entries).map(([key, field]) => [key, valueOf(field, params, key)] as const)
    const requiredKeys = Object.keys(entries).filter((key) => partsOf(entries[key]!).type !== 'exact_optional')
    return fc.record(Object.fromEntries(fields), { requiredKeys })
  }
  if (type === 'exact_optional') return valueOf(wrapped!, params, name)
  if (type === 'record')
    return fc.dictionary(fc.stringMatching(/^[a-z/]{1,8}$/), valueOf(value!, params), { maxKeys: 3 })
  if (type === 'array') return fc.array(valueOf(item!, params), { maxLength: 3 })
  if (type === 'boolean' || hasFlag(pipe)) return fc.boolean()
  if (type === 'picklist') return fc.constantFrom(...options)
  if (type === 'number') return numberOf(checksIn(pipe))
  if (type === 'string') return ((params || isChecked(pipe)) && formed[name]) || fc.string({ unit: 'grapheme' })
  throw new Error(`no values are known of the schema type ${type}`)
}

/** Whether strings need a certain form, as in requests. */
function isChecked(pipe: readonly Check[]): boolean {
  return checksIn(pipe).some(({ type }) => type === 'check')
}

/** Whether the schema is the one of flag.ts, which turns a string into a boolean. */
function hasFlag(pipe: readonly Check[]): boolean {
  return pipe.some((each) => each.type === 'transform' || hasFlag(partsOf(each as unknown as GenericSchema).pipe ?? []))
}

/** What the pipe checks, and what the pipes within it do. */
function checksIn(pipe: readonly Check[]): readonly Check[] {
  return pipe.flatMap((each) => [each, ...checksIn(partsOf(each as unknown as GenericSchema).pipe?.slice(1) ?? [])])
}

function numberOf(checks: readonly Check[]): fc.Arbitrary<number> {
  const requirement = (type: string): object => {
    const check = checks.find((each) => each.type === type)
    return check === undefined ? {} : { [type.startsWith('min') ? 'min' : 'max']: check.requirement }
  }
  const bounds = { ...requirement('min_value'), ...requirement('max_value') }
  if (checks.some((each) => each.type === 'integer')) return fc.integer(bounds)
  return fc.double({ noNaN: true, noDefaultInfinity: true, ...bounds }).map((each) => each + 0 || 0)
}
