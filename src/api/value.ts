// Derives the types of values from their schemas.
import { description, type GenericSchema, type InferOutput, pipe } from 'valibot'

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
