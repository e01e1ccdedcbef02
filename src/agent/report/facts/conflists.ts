// Which CNI configurations a runtime finds on this node: their names and the types of their plugins, and nothing else of what is in them, as
// others keep tokens there.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { leadsToOurs } from '../../cni-install/conflist.ts'

type Conflist = NodeFacts['conflists'][number]

/** Larger than any configuration. */
const mostBytes = 1 << 20
const mostFiles = 100

/** In the order of libcni, which takes the first. None: the folder cannot be read. */
export function readConflists(folder: string): Conflist[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  return names
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .toSorted()
    .slice(0, mostFiles)
    .map((file) => conflistOf(file, textOf(join(folder, file))))
}

function textOf(path: string): string {
  try {
    // to read a pipe would wait for who writes into it
    const stats = statSync(path)
    return stats.isFile() && stats.size <= mostBytes ? readFileSync(path, 'utf8') : ''
  } catch {
    return ''
  }
}

function conflistOf(file: string, text: string): Conflist {
  const found = parsed(text)
  const entries = Array.isArray(found['plugins']) ? (found['plugins'] as unknown[]) : [found]
  const plugins = entries.flatMap((each) => wordOf((each as { readonly type?: unknown } | null)?.type) ?? [])
  const network = wordOf(found['name'])
  return { file, ...(network !== undefined && { network }), plugins, isOurs: text !== '' && leadsToOurs(text) }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** A name, and no text of any length that happens to stand in its place. */
function wordOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined
}
