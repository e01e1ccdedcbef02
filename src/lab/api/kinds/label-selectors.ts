// Label selectors in objects (metav1.LabelSelector): what the API server refuses of them, and how tables show them
// (apimachinery pkg/apis/meta/v1/validation, FormatLabelSelector).
import { forbiddenField, invalidValue, required, type Cause } from '../api-error.ts'
import { dig, isObject, list, objects, text, type Json, type JsonObject } from '../json.ts'
import { isLabelKey, isLabelValue } from '../selectors.ts'
import { keyFaults, valueFault } from './names.ts'

function checkRequirement(requirement: JsonObject, at: string): Cause[] {
  const key = text(requirement['key'])
  const operator = text(requirement['operator'])
  const values = list(requirement['values']).map(text)
  const causes: Cause[] = []
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0)
      causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0)
      causes.push(forbiddenField(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
  } else causes.push(invalidValue(`${at}.operator`, operator, 'not a valid selector operator'))
  causes.push(...keyFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault)))
  for (const [index, value] of values.entries()) {
    const wrong = valueFault(value)
    if (wrong !== undefined) causes.push(invalidValue(`${at}.values[${index}]`, value, wrong))
  }
  return causes
}

/** What is wrong with the selector at a field. */
export function checkLabelSelector(selector: Json | undefined, at: string): Cause[] {
  const causes: Cause[] = []
  const labels = dig(selector, 'matchLabels')
  for (const [key, value] of Object.entries(isObject(labels) ? labels : {})) {
    causes.push(...keyFaults(key).map((fault) => invalidValue(`${at}.matchLabels`, key, fault)))
    const wrong = valueFault(text(value))
    if (wrong !== undefined) causes.push(invalidValue(`${at}.matchLabels`, text(value), wrong))
  }
  for (const [index, requirement] of objects(dig(selector, 'matchExpressions')).entries())
    causes.push(...checkRequirement(requirement, `${at}.matchExpressions[${index}]`))
  return causes
}

/** A requirement as selectors of kubectl have it; undefined when it is none. */
function requirementText(requirement: JsonObject): string | undefined {
  const key = text(requirement['key'])
  const values = list(requirement['values']).map(text)
  if (!isLabelKey(key) || !values.every(isLabelValue)) return undefined
  const listed = `(${values.toSorted().join(',')})`
  switch (requirement['operator']) {
    case 'In':
      return values.length === 0 ? undefined : `${key} in ${listed}`
    case 'NotIn':
      return values.length === 0 ? undefined : `${key} notin ${listed}`
    case 'Exists':
      return values.length === 0 ? key : undefined
    case 'DoesNotExist':
      return values.length === 0 ? `!${key}` : undefined
    default:
      return undefined
  }
}

/** A selector in a table: "app=web,tier in (a,b)", or "<none>" for the one that selects everything. */
export function labelSelectorText(selector: Json | undefined): string {
  const labels = dig(selector, 'matchLabels')
  const terms = [
    ...Object.entries(isObject(labels) ? labels : {}).map(([key, value]) => ({ key, words: `${key}=${text(value)}` })),
    ...objects(dig(selector, 'matchExpressions')).map((each) => ({
      key: text(each['key']),
      words: requirementText(each),
    })),
  ]
  if (terms.length === 0) return '<none>'
  if (terms.some(({ words }) => words === undefined)) return '<error>'
  const sorted = terms.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return sorted.map(({ words }) => words).join(',')
}
