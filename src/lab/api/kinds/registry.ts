// The table of the kinds served. Built-in kinds are always there; custom kinds come and go with their definitions.
import type { Definitions } from '../schema/schema.ts'
import type { Resource } from './resource.ts'

export type GroupVersion = { readonly group: string; readonly version: string }

export class Registry {
  readonly #resources = new Map<string, Resource>()
  readonly #definitions: Definitions
  /** Increases with every change, so that documents derived from the table are made anew. */
  #edition = 0

  constructor(resources: readonly Resource[], definitions: Definitions) {
    this.#definitions = definitions
    for (const resource of resources)
      this.#resources.set(keyOf(resource.group, resource.version, resource.plural), resource)
  }

  get edition(): number {
    return this.#edition
  }

  get definitions(): Definitions {
    return this.#definitions
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#resources.get(keyOf(group, version, plural))
  }

  all(): readonly Resource[] {
    return [...this.#resources.values()]
  }

  /** One resource for each place where objects are stored. */
  stored(): readonly Resource[] {
    return [
      ...new Map(
        this.all()
          .toReversed()
          .map((resource) => [resource.bucket, resource]),
      ).values(),
    ]
  }

  groupVersions(): readonly GroupVersion[] {
    const found = new Map(this.all().map(({ group, version }) => [`${group}/${version}`, { group, version }]))
    return [...found.values()]
  }

  in(group: string, version: string): readonly Resource[] {
    return this.all().filter((resource) => resource.group === group && resource.version === version)
  }

  /** Replaces the resources of a definition with `resources`. */
  replace(group: string, plural: string, resources: readonly Resource[]): void {
    for (const [key, resource] of this.#resources) {
      if (resource.isCustom && resource.group === group && resource.plural === plural) this.#resources.delete(key)
    }
    for (const resource of resources) this.#resources.set(keyOf(group, resource.version, plural), resource)
    this.#edition++
  }
}

function keyOf(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`
}
