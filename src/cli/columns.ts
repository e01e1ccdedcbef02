// How wide what a command prints may be.

type Output = { readonly isTTY?: boolean; readonly columns?: number }

/**
 * The columns of the terminal that shows the output. What goes into a file or another program has no limit unless the
 * environment sets one with COLUMNS, so that one row is one line there.
 */
export function columnsOf(output: Output, env: Readonly<Record<string, string | undefined>>): number {
  const told = output.isTTY === true ? output.columns : Number(env['COLUMNS'])
  return told !== undefined && Number.isInteger(told) && told > 0 ? told : Infinity
}

export function outputColumns(): number {
  return columnsOf(process.stdout, process.env)
}
