// What a reflector keeps of objects that are read when they come, and of which nobody asks the reflector later.
import type { KubeObject, ObjectMeta } from '#/model/kubernetes.ts'

/**
 * An object of the API that was read. Whoever is told of it takes what was read, and then only the object's identity is left. It is its own
 * `metadata`: there are tens of thousands of them.
 */
export class Received<V> implements KubeObject {
  readonly name: string
  readonly namespace: string | undefined
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  #value: V | undefined

  constructor({ metadata: { name, namespace, uid, resourceVersion } }: KubeObject, value: V) {
    this.name = name
    this.namespace = namespace
    this.uid = uid
    this.resourceVersion = resourceVersion
    this.#value = value
  }

  get metadata(): ObjectMeta {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is undefined is as good as absent for whoever reads it
    return this as unknown as ObjectMeta
  }

  /** What was read; undefined when it was taken before. */
  take(): V | undefined {
    const value = this.#value
    this.#value = undefined
    return value
  }
}

/** As the `Keep` of a reflector: reads each object as it comes. */
export function keepOfRead<V>(read: (object: KubeObject) => V): (object: KubeObject) => Received<V> {
  // what it is given may be what it has returned
  return (object) => (object instanceof Received ? (object as Received<V>) : new Received(object, read(object)))
}
