// The schema of the operation that tells what a node's kernel would do with a packet.
import { array, boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { stepKinds } from '#/model/trace.ts'
import { about, type ValueOf } from '../value.ts'

const digits = (max: number, what: string) =>
  pipe(
    string(),
    check((text) => /^\d{1,6}$/.test(text) && Number(text) <= max, `is no ${what}: expected 0 to ${max}`),
  )

/** As text: a query has nothing else. */
export const tracePredictRequest = object({
  src: about(string(), 'the address of the sender'),
  dst: about(string(), 'the address of the receiver; of a packet to a Service, that of the Service'),
  protocol: picklist(['icmp', 'udp', 'tcp']),
  port: exactOptional(about(digits(65_535, 'port'), 'the destination port')),
  sourcePort: exactOptional(digits(65_535, 'port')),
  sizeBytes: exactOptional(
    about(digits(65_535, 'size'), 'of the whole packet with its IP header; absent: a small one'),
  ),
  mayFragment: exactOptional(
    about(picklist(['yes', 'no']), 'whether routers may cut the packet up; no: it has DF set'),
  ),
  from: exactOptional(
    about(
      picklist(['pod', 'node', 'underlay']),
      'where the packet begins on this node; absent: found by the address of the sender',
    ),
  ),
  answer: exactOptional(
    about(picklist(['yes', 'no']), 'yes: the packet answers another one, whose connection the nodes on its way know'),
  ),
  outerSrc: exactOptional(
    about(
      string(),
      'with from=underlay: the tunnel end from which the packet comes; absent: as this node would send to src',
    ),
  ),
  native: exactOptional(about(picklist(['yes']), 'with from=underlay: the packet comes without a tunnel')),
})

const step = object({
  kind: picklist(stepKinds),
  text: string(),
  isObstacle: about(boolean(), 'the packet gets no further than here'),
  device: exactOptional(string()),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME of the pod in whose namespace this is')),
  code: exactOptional(about(string(), 'of docs/problems.md')),
  remedy: exactOptional(string()),
  next: exactOptional(about(string(), 'the device that the packet goes to from here')),
  ways: exactOptional(
    about(
      object({
        hops: array(object({ device: string(), gateway: exactOptional(string()), isChosen: boolean() })),
        chosenBy: about(
          picklist(['addresses', 'ports']),
          'ports: other connections between the same two may take another',
        ),
      }),
      'the equal next hops of the route, where it has several',
    ),
  ),
})

const place = object({
  place: picklist(['receive', 'queue', 'transmit']),
  device: string(),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME of the pod in whose namespace this is')),
})

const translation = object({
  addr: string(),
  port: exactOptional(number()),
  among: about(number(), 'how many ends the kernel may choose from; this is one of them'),
})

export const tracePrediction = object({
  node: string(),
  steps: about(array(step), 'in the order in which the packet meets them'),
  way: about(array(place), 'where the packet is to be seen on this node, in order, if nothing is in its way'),
  translatedTo: exactOptional(about(translation, 'the destination after this node has translated it')),
  leaves: exactOptional(
    about(
      object({
        device: about(string(), 'of the underlay'),
        outerSrc: exactOptional(about(string(), 'absent: it leaves without a tunnel')),
        outerDst: exactOptional(string()),
        src: exactOptional(about(string(), 'the source address, where this node replaces it')),
      }),
      'how the packet leaves this node; absent: it ends here',
    ),
  ),
})

export type TracePredictRequest = ValueOf<typeof tracePredictRequest>
export type TracePrediction = ValueOf<typeof tracePrediction>
