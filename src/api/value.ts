// Types of values from their schemas.
import { description, type GenericSchema, type InferOutput, pipe } from 'valibot'

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** What a value is that matches the schema; nobody changes it. */
export type ValueOf<Schema extends GenericSchema> = DeepReadonly<InferOutput<Schema>>

/** The schema with a few words on what the value means: docs/agent-api.md shows them. */
export function about<const Schema extends GenericSchema>(schema: Schema, text: string) {
  return pipe(schema, description(text))
}
