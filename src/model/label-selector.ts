// Label selectors of our own objects, in the form of Kubernetes (metav1 LabelSelector).
import { fieldsOf, isFields } from './kubernetes.ts'

type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'

type Requirement = { readonly key: string; readonly operator: Operator; readonly values: readonly string[] }

/** All requirements must hold; an empty list selects everything. */
export type LabelSelector = readonly Requirement[]

/** Takes the place of a malformed selector, which must not select more than its author meant. */
export const selectsNothing: LabelSelector = [{ key: '', operator: 'In', values: [] }]

const operators: readonly string[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'] satisfies Operator[]

function isOperator(value: unknown): value is Operator {
  return typeof value === 'string' && operators.includes(value)
}

/** Reads matchLabels and matchExpressions; returns a text that says what is wrong when they are malformed. */
export function labelSelectorOf(value: unknown): LabelSelector | string {
  if (!isFields(value)) return 'is no selector: expected matchLabels or matchExpressions'
  const { matchLabels = {}, matchExpressions = [] } = value
  if (!isFields(matchLabels)) return 'matchLabels is no map of labels'
  if (!Array.isArray(matchExpressions)) return 'matchExpressions is no list'
  const requirements: Requirement[] = []
  for (const [key, label] of Object.entries(matchLabels)) {
    if (typeof label !== 'string') return `matchLabels[${key}] is no text`
    requirements.push({ key, operator: 'In', values: [label] })
  }
  for (const [index, expression] of matchExpressions.entries()) {
    const { key, operator, values = [] } = fieldsOf(expression)
    const at = `matchExpressions[${index}]`
    if (typeof key !== 'string' || key === '') return `${at}.key is missing`
    if (!isOperator(operator)) return `${at}.operator: expected one of ${operators.join(', ')}`
    if (!Array.isArray(values) || !values.every((each): each is string => typeof each === 'string'))
      return `${at}.values is no list of texts`
    if (values.length === 0 && (operator === 'In' || operator === 'NotIn')) return `${at}.values is empty`
    requirements.push({ key, operator, values })
  }
  return requirements
}

function holds({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const label = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return label !== undefined && values.includes(label)
    case 'NotIn':
      return label === undefined || !values.includes(label)
    case 'Exists':
      return label !== undefined
    case 'DoesNotExist':
      return label === undefined
  }
}

export function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  // a thousand selectors are asked about ten thousand pods: no closure and no iterator is made for each
  for (let at = 0; at < selector.length; at++) if (!holds(selector[at]!, labels)) return false
  return true
}
