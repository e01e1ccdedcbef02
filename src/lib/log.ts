// Structured log lines: a constant message with key/value fields, one JSON object a line.
// Pure: where lines go and what time it is come from the composition root.

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type Fields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** The same logger with fields that every line carries. */
  with(fields: Fields): Logger
}

const rank: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 }

/** An error's message and those of its causes, joined as "what: why: why". */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // node:http gives the several addresses it tried as an AggregateError with an empty message
  const own = error.message || (error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : error.name)
  return error.cause === undefined ? own : `${own}: ${messageOf(error.cause)}`
}

/**
 * `write` gets each line without its line break; `now` gives the time as ISO 8601 text. A field called `time`, `level` or `message`
 * stands in the line with a "_" before its name.
 */
export function createLogger(options: {
  level: Level
  write: (line: string) => void
  now: () => string
  fields?: Fields
}): Logger {
  const { level, write, now, fields = {} } = options
  const emit = (lineLevel: Level, message: string, extra: Fields = {}): void => {
    if (rank[lineLevel] < rank[level]) return
    const line = new Map<string, unknown>([
      ['time', now()],
      ['level', lineLevel],
      ['message', message],
    ])
    for (const [key, value] of Object.entries({ ...fields, ...extra })) {
      // keep both the line's own values and a field that has the same name
      let name = key
      while (line.has(name)) name = `_${name}`
      line.set(name, value instanceof Error ? messageOf(value) : value)
    }
    write(JSON.stringify(Object.fromEntries(line)))
  }
  return {
    debug: (message, extra) => emit('debug', message, extra),
    info: (message, extra) => emit('info', message, extra),
    warn: (message, extra) => emit('warn', message, extra),
    error: (message, extra) => emit('error', message, extra),
    with: (more) => createLogger({ ...options, fields: { ...fields, ...more } }),
  }
}

/** A logger that says nothing; for tests and for one-shot commands. */
export const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silent,
}
