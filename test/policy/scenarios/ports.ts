// Protocols and ports. All pods have s-80-tcp, s-81-udp and so on; "web" is 80 in pods a, 81 in pods b, and no port in pods c.
import { labels, namespacesAt, networkPolicy, podsAt, put, scenario, type Spec } from '../model.ts'

const ingress = (...ports: readonly Spec[]): Spec => ({
  podSelector: {},
  policyTypes: ['Ingress'],
  ingress: [{ ports }],
})
const egress = (...ports: readonly Spec[]): Spec => ({ podSelector: {}, policyTypes: ['Egress'], egress: [{ ports }] })

export const ports = [
  scenario('one port of TCP, which is the default', [
    [put(networkPolicy('x/in', ingress({ port: 80 })))],
    {
      'y/a x/a tcp 80': true,
      'y/a x/a tcp 81': false,
      'y/a x/a udp 80': false,
      'y/a x/a sctp 80': false,
      'y/a x/a icmp 0': false,
      'world x/a tcp 80': true,
    },
  ]),
  scenario('one port of UDP', [
    [put(networkPolicy('x/in', ingress({ protocol: 'UDP', port: 81 })))],
    { 'y/a x/a udp 81': true, 'y/a x/a udp 80': false, 'y/a x/a tcp 81': false },
  ]),
  scenario('one port of SCTP', [
    [put(networkPolicy('x/in', ingress({ protocol: 'SCTP', port: 80 })))],
    { 'y/a x/a sctp 80': true, 'z/a x/a sctp 81': false, 'y/a x/a tcp 80': false },
  ]),
  scenario('a protocol without a port', [
    [put(networkPolicy('x/in', ingress({ protocol: 'UDP' })))],
    { 'y/a x/a udp 80': true, 'z/a x/a udp 81': true, 'y/a x/a tcp 80': false, 'y/a x/a icmp 0': false },
  ]),
  scenario('several ports', [
    [put(networkPolicy('x/in', ingress({ port: 81 }, { protocol: 'UDP', port: 80 }, { protocol: 'SCTP' })))],
    { 'y/a x/a tcp 81': true, 'y/a x/a tcp 80': false, 'y/a x/a udp 80': true, 'z/a x/a sctp 81': true },
  ]),
  scenario('a range of ports', [
    [put(networkPolicy('x/in', ingress({ port: 81, endPort: 90 })))],
    { 'y/a x/a tcp 81': true, 'y/a x/a tcp 80': false, 'y/a x/a udp 81': false },
  ]),
  scenario('ranges that overlap', [
    [
      put(
        networkPolicy('x/in', ingress({ port: 70, endPort: 80 }, { port: 75, endPort: 81 }, { port: 1, endPort: 3 })),
      ),
    ],
    { 'y/a x/a tcp 80': true, 'y/a x/a tcp 81': true, 'y/a x/a udp 80': false },
  ]),
  scenario('a range of one', [
    [put(networkPolicy('x/in', ingress({ protocol: 'UDP', port: 80, endPort: 80 })))],
    { 'y/a x/a udp 80': true, 'y/a x/a udp 81': false },
  ]),
  scenario('a name that is the same in all pods', [
    [put(networkPolicy('x/in', ingress({ port: 's-81-tcp' })))],
    { 'y/a x/a tcp 81': true, 'y/a x/a tcp 80': false, 'z/a x/c tcp 81': true },
  ]),
  scenario('a name of UDP', [
    [put(networkPolicy('x/in', ingress({ protocol: 'UDP', port: 's-80-udp' })))],
    { 'y/a x/a udp 80': true, 'y/a x/a udp 81': false, 'y/a x/a tcp 80': false },
  ]),
  scenario('a name in another protocol is no port', [
    [put(networkPolicy('x/in', ingress({ protocol: 'TCP', port: 's-80-udp' })))],
    { 'y/a x/a udp 80': false, 'y/a x/a tcp 80': false },
  ]),
  scenario('a name that means something else in each pod', [
    [put(networkPolicy('x/in', ingress({ port: 'web' })))],
    {
      'y/a x/a tcp 80': true,
      'y/a x/a tcp 81': false,
      'y/a x/b tcp 81': true,
      'y/a x/b tcp 80': false,
      'y/a x/c tcp 80': false,
    },
  ]),
  scenario('a name that nobody has', [
    [put(networkPolicy('x/in', ingress({ port: 'nothing' })))],
    { 'y/a x/a tcp 80': false, 'y/a x/a tcp 81': false },
  ]),
  scenario('egress to a port', [
    [put(networkPolicy('x/out', egress({ port: 80 })))],
    { 'x/a y/a tcp 80': true, 'x/a y/a tcp 81': false, 'x/a world tcp 80': true, 'x/a z/a icmp 0': false },
  ]),
  scenario('egress to a name: of the destination', [
    [put(networkPolicy('x/out', egress({ port: 'web' })))],
    {
      'x/a y/a tcp 80': true,
      'x/a y/b tcp 81': true,
      'x/a y/b tcp 80': false,
      'x/a z/a tcp 80': true,
      'x/a z/b tcp 81': true,
      'x/a z/c tcp 80': false,
      'x/a world tcp 80': false,
    },
  ]),
  scenario('egress to a range', [
    [put(networkPolicy('x/out', egress({ protocol: 'UDP', port: 1, endPort: 80 })))],
    { 'x/a z/a udp 80': true, 'x/a z/a udp 81': false },
  ]),
  scenario('peers and ports of one rule are both demanded', [
    [
      put(
        networkPolicy('x/in', {
          podSelector: {},
          ingress: [
            { from: [namespacesAt({ ns: 'y' })], ports: [{ port: 80 }] },
            { from: [podsAt({ pod: 'b' })], ports: [{ port: 81 }] },
          ],
        }),
      ),
    ],
    { 'y/a x/a tcp 80': true, 'y/a x/a tcp 81': false, 'x/b x/a tcp 81': true, 'x/b x/a tcp 80': false },
  ]),
  scenario('ports of one policy are not peers of another', [
    [
      put(networkPolicy('x/in', ingress({ port: 80 }))),
      put(
        networkPolicy('x/in-y', {
          podSelector: labels({ pod: 'a' }),
          ingress: [{ from: [namespacesAt({ ns: 'y' })] }],
        }),
      ),
    ],
    { 'z/a x/a tcp 80': true, 'z/a x/a tcp 81': false, 'y/a x/a tcp 81': true, 'y/a x/b tcp 81': false },
  ]),
]
