// Requests to the command that serves the page, all with its token.
import { visible } from '#/trace/page/markup.ts'
import { type Refusal } from '#/ui/contract.ts'

const key = 'causeway-token'

/**
 * Whether there was one. The token comes in the fragment, which no server is sent, and leaves the address bar at once: addresses are copied into tickets.
 * All tabs have it: a link may be opened in a new one, and a passed-on address of a view in any.
 */
export function takeToken(): boolean {
  const token = /^#token=([\w-]+)/.exec(location.hash)?.[1]
  if (token === undefined) return false
  localStorage.setItem(key, token)
  history.replaceState(null, '', `${location.pathname}#/`)
  return true
}

/** Resolves when another tab has got another token. */
export function otherToken(): Promise<void> {
  return new Promise((resolve) => {
    addEventListener('storage', (event) => {
      if (event.key === key) resolve()
    })
  })
}

/** What the command answered in place of what was asked for. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function messageOf(response: Response): Promise<string> {
  try {
    return (parsed(await response.text()) as Refusal).message
  } catch {
    return `the command answered with status ${response.status}`
  }
}

export type Ask = { readonly signal?: AbortSignal; readonly body?: unknown; readonly method?: 'GET' | 'POST' }

/** The answer of /api/PATH. Throws Refused where it is refused, and what fetch throws where nobody answers. */
export async function ask(path: string, { signal, body, method = 'GET' }: Ask = {}): Promise<Response> {
  const response = await fetch(`/api/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${localStorage.getItem(key) ?? ''}`,
      ...(method === 'POST' && { 'content-type': 'application/json' }),
    },
    ...(signal && { signal }),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Refused(response.status, await messageOf(response))
  return response
}

/** Names and messages of a cluster may hold what turns the text around them: none of it gets into the page. */
const visibleTexts = (_key: string, value: unknown): unknown => (typeof value === 'string' ? visible(value) : value)

/** A text of printable ASCII has nothing to hide, unless it is written as an escape. */
const isPlain = (json: string): boolean => !json.includes('\\u') && /^[\t\n\r -~]*$/.test(json)

export const parsed = (json: string): unknown => (isPlain(json) ? JSON.parse(json) : JSON.parse(json, visibleTexts))

export const askJson = async <T>(path: string, options?: Ask): Promise<T> =>
  parsed(await (await ask(path, options)).text()) as T

/** The lines of an answer, as they come; empty ones too: they tell that there is somebody. */
export async function* linesOf(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  while (true) {
    const { done, value } = await reader.read()
    if (done) break
    const lines = (rest + value).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

/** Words of an error of fetch: browsers say "Failed to fetch", which helps nobody. */
export function whyOf(error: unknown): string {
  if (error instanceof Refused) return error.message
  if (error instanceof TypeError) return 'the command that serves this page does not answer'
  return error instanceof Error ? error.message : String(error)
}
