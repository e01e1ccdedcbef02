// Which of a node's expected steps belongs to which line: both are in the order of the way.
import { type Prediction, type Step } from '../types.ts'
import { type Hop } from '../way.ts'

function isAt({ device, pod }: Step, line: Hop): boolean {
  return line.pod === pod && (device === undefined || line.device === device)
}

/** What was expected was expected of the expected way; where the packet was dropped it met what stood in its way. */
const mayHaveSteps = ({ isExpected, place }: Hop): boolean => isExpected || place === 'drop'

/** For each line the steps that the packet meets there; a step of no device is met where the one before it was, or where its namespace begins. */
export function stepsByLine(lines: readonly Hop[], predictions: readonly Prediction[]): Step[][] {
  const found = lines.map((): Step[] => [])
  for (const { node, steps } of predictions) {
    const own = lines.flatMap((line, index) => (line.node === node && mayHaveSteps(line) ? [index] : []))
    let at = 0
    for (const step of steps) {
      const here = own[at]
      const isHere = here !== undefined && isAt(step, lines[here]!)
      const ahead = own.findIndex((index, place) => place >= at && isAt(step, lines[index]!))
      const namespace = own.findIndex((index, place) => place >= at && lines[index]!.pod === step.pod)
      if (!isHere) at = ahead >= 0 ? ahead : namespace >= 0 ? namespace : at
      const index = own[at]
      if (index !== undefined) found[index]!.push(step)
    }
  }
  return found
}
