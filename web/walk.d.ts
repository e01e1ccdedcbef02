// What scripts/bundle-web.ts makes a module of: src/trace/page/script.ts.
declare module 'walk' {
  /** Walks along with the packet in an element that holds the parts of a trace; what it returns ends that. */
  export function walk(root: Element): () => void
}
