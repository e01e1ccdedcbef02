// What commands print, and where it goes when nobody reads it any more.
let isStdoutLost = false

/**
 * A reader that is gone (`causeway … | head`) is no error, and ends no command half-way: output is dropped, work goes on.
 * Anything else that goes wrong with stdout, such as a full disk, is told once.
 */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isStdoutLost) return
    isStdoutLost = true
    process.stderr.write(`causeway: the output could not be written: ${error.message}\n`)
  })
  // an error of stderr itself cannot be shown anywhere
  process.stderr.on('error', () => {})
}

/** Whether output was lost for another reason than that its reader ended. */
export function isOutputLost(): boolean {
  return isStdoutLost
}

/**
 * The text with control characters as `\\x1b`, but line breaks and tabs: what nodes and objects say is shown on a terminal, which would obey
 * them.
 */
export function harmless(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

export function print(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? harmless(text) : text}\n`)
}

/** A line on standard error, such as why something else is not told. */
export function complain(line: string): void {
  process.stderr.write(`${process.stderr.isTTY ? harmless(line) : line}\n`)
}

/** As JSON with every control character escaped as JSON has it: a terminal takes some of those for orders that JSON leaves as they are. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replaceAll(
    /[\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

export function printJson(value: unknown): void {
  print(jsonText(value))
}

/** Width of help, fixed so that it can be read on any terminal. */
export const helpWidth = 80

export type Terminal = { readonly isTTY?: boolean; readonly columns?: number }

/** Columns that tables may take: those of the terminal, else what COLUMNS says, else any number. */
export function outputWidth(terminal: Terminal, env: Readonly<Record<string, string | undefined>>): number {
  const asked = Number(env['COLUMNS'])
  if (terminal.isTTY && terminal.columns) return terminal.columns
  return Number.isInteger(asked) && asked > 0 ? asked : Infinity
}

export function tableWidth(): number {
  return outputWidth(process.stdout, process.env)
}
