// The schema of a yes or no in a query, where all values are strings.
import { picklist, pipe, transform } from 'valibot'

export const flag = pipe(
  picklist(['true', 'false']),
  transform((text) => text === 'true'),
)
