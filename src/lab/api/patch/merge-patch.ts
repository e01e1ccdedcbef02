// JSON Merge Patch, RFC 7396.
import { isObject, type Json } from '../json.ts'

/** MergePatch(Target, Patch) of RFC 7396 section 2; the target is not changed. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: Map<string, Json | undefined> = new Map(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) result.delete(key)
    else result.set(key, mergePatch(result.get(key), value))
  }
  return Object.fromEntries(result)
}
