// Derives the types of values from their schemas.
import { description, type GenericSchema, type InferOutput, maxValue, minValue, number, pipe } from 'valibot'

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** The type of a value that matches the schema, read-only at every depth. */
export type ValueOf<Schema extends GenericSchema> = DeepReadonly<InferOutput<Schema>>

/** The schema with a description of what the value means; docs/agent-api.md shows it. */
export function about<const Schema extends GenericSchema>(schema: Schema, text: string) {
  return pipe(schema, description(text))
}

/** The first and last moment that a Date has. */
const lastMs = 8.64e15

/** ms since 1970; what no Date can be is no moment. */
export const moment = () => pipe(number(), minValue(-lastMs), maxValue(lastMs))
