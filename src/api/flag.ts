// A yes or no behind the "?" of a path, where all values are texts.
import { picklist, pipe, transform } from 'valibot'

export const flag = pipe(
  picklist(['true', 'false']),
  transform((text) => text === 'true'),
)
