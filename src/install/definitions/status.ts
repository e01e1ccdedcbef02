// What the statuses of our kinds have in common.
import { type Column } from './definition.ts'
import { choice, list, mapping, type Schema, text } from './schema.ts'

export function count(description: string): Schema {
  return { type: 'integer', format: 'int64', description }
}

/** metav1.Condition in a list; `types` says what the types of conditions mean. */
export function conditions(types: string): Schema {
  const condition = {
    ...mapping('A condition.', {
      type: text(types),
      status: choice('Whether it is so.', ['True', 'False', 'Unknown']),
      observedGeneration: count('metadata.generation of the object when this was told.'),
      reason: text('Why, in one word.'),
      message: text('Why, for whoever has to mend it.'),
      lastTransitionTime: text('Since when the status is this.', { format: 'date-time' }),
    }),
    required: ['type', 'status'],
  }
  return list('Conditions.', condition, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  })
}

const accepted = 'Accepted: the object is used as it is written.'

/** The status of an object that is for many nodes; the controller writes it. */
export function statusOfMany(condition: string, nodes?: Readonly<Record<string, Schema>>): Schema {
  return mapping('What is, on all nodes together. The controller writes it; without a controller it stays empty.', {
    observedGeneration: count('metadata.generation of the object when this was told.'),
    ...(nodes && { nodes: mapping('How many nodes.', nodes) }),
    conditions: conditions(`${accepted} ${condition}`.trim()),
  })
}

export function conditionColumn(type: string, description: string, keywords: Pick<Column, 'priority'> = {}): Column {
  const jsonPath = `.status.conditions[?(@.type=="${type}")].status`
  return { name: type, type: 'string', jsonPath, description, ...keywords }
}
