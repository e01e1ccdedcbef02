// Checks a value against the rules of its schema, x-kubernetes-validations
// (staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go). Rules about a change (oldSelf) are passed over,
// and of two forms of a message the fixed one counts (not messageExpression).
import { invalidValue, type Cause } from '../api-error.ts'
import { isArray, isObject, type Json } from '../json.ts'
import { celValue, evaluate } from './cel.ts'
import { typeName } from './check.ts'
import type { SchemaNode, ValidationRule } from './schema.ts'

/** Faults after which rules are not evaluated, because they rely on what is missing or of another kind. */
const blocking: readonly string[] = [
  'FieldValueRequired',
  'FieldValueTypeInvalid',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueNotSupported',
]

/** What `faults`, those of the schema, say together with those of the rules of `value`. */
export function withRules(faults: readonly Cause[], value: Json, node: SchemaNode): readonly Cause[] {
  if (!faults.some(({ reason }) => blocking.includes(reason))) return [...faults, ...brokenRules(value, node, '')]
  const skipped =
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'
  return hasRules(node) ? [...faults, invalidValue('<nil>', null, skipped)] : faults
}

/** Whether a change in rules mentions the value before the change. */
export function isTransition({ rule }: ValidationRule): boolean {
  return /\boldSelf\b/.test(rule)
}

function hasRules({ schema }: SchemaNode): boolean {
  return JSON.stringify(schema).includes('"x-kubernetes-validations"')
}

function brokenRules(value: Json, node: SchemaNode, path: string): Cause[] {
  const rules = (node.schema['x-kubernetes-validations'] ?? []).filter((rule) => !isTransition(rule))
  // the value is converted only where there are rules: most objects of most kinds have none
  const self = rules.length > 0 ? celValue(value, node) : undefined
  const own = rules.flatMap((rule) => faultOf(rule, self, value, path))
  if (isArray(value)) {
    const { items } = node
    return items === undefined
      ? own
      : [...own, ...value.flatMap((item, at) => brokenRules(item, items, `${path}[${at}]`))]
  }
  if (!isObject(value)) return own
  const inner = Object.entries(value).flatMap(([key, member]) => {
    const type = member === undefined ? undefined : node.member(key)
    return type === undefined ? [] : brokenRules(member!, type, path === '' ? key : `${path}.${key}`)
  })
  return [...own, ...inner]
}

function faultOf(rule: ValidationRule, self: unknown, value: Json, path: string): Cause[] {
  const at = `${path}${rule.fieldPath ?? ''}`.replace(/^\./, '') || '<nil>'
  const shown = typeof value === 'object' ? typeName(value) : value
  const fault = (why: string): Cause[] => [invalidValue(at, shown, why)]
  try {
    if (evaluate(rule.rule, self) === true) return []
    return fault(rule.message ?? `failed rule: ${rule.rule}`)
  } catch (error) {
    return fault(`rule evaluation error: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`)
  }
}
