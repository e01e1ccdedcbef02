// What is said of ports of BGP and BFD that other programs have. Pure.
import { type Problem, problem } from '#/model/problems.ts'
import { type PortService } from './compose.ts'

/** By service, why nothing comes in by its port. */
export type PortTroubles = { readonly [S in PortService]?: string | undefined }

const codes = { bgp: 'CW4109', bfd: 'CW4110' } as const satisfies Record<PortService, string>
const consequences: Readonly<Record<PortService, string>> = {
  bgp: 'this node connects to its neighbours, and none can connect to it',
  bfd: 'no BFD session comes up, and a neighbour that dies is noticed only when its hold time is over',
}

function textsOf(troubles: PortTroubles): (readonly [PortService, string])[] {
  return (['bgp', 'bfd'] as const).flatMap((service) => {
    const why = troubles[service]
    return why === undefined ? [] : [[service, `${why}; until it is free, ${consequences[service]}`] as const]
  })
}

export function portProblems(nodeName: string, troubles: PortTroubles): Problem[] {
  return textsOf(troubles).map(([service, text]) => problem(codes[service], `speaker/${nodeName}`, text))
}

/** As the API tells it; nothing when nothing is wrong. */
export function portReport(troubles: PortTroubles): { readonly portTroubles?: string[] } {
  const texts = textsOf(troubles)
  return texts.length === 0 ? {} : { portTroubles: texts.map(([, text]) => text) }
}
