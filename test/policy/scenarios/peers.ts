// Whom the rules of a NetworkPolicy allow.
import { byLabel, labels, namespacesAt, networkPolicy, podsAt, put, scenario, type Spec } from '../model.ts'

const ingressFrom = (...from: readonly Spec[]): Spec => ({
  podSelector: {},
  policyTypes: ['Ingress'],
  ingress: [{ from }],
})
const egressTo = (...to: readonly Spec[]): Spec => ({ podSelector: {}, policyTypes: ['Egress'], egress: [{ to }] })

export const peers = [
  scenario('ingress from pods of the own namespace', [
    [put(networkPolicy('x/in', ingressFrom(podsAt({ pod: 'b' }))))],
    { 'x/b x/a tcp 80': true, 'x/c x/a tcp 80': false, 'y/b x/a tcp 80': false, 'z/b x/a icmp 0': false },
  ]),
  scenario('ingress from all pods of the own namespace', [
    [put(networkPolicy('x/in', ingressFrom({ podSelector: {} })))],
    { 'x/b x/a tcp 80': true, 'x/c x/a icmp 0': true, 'y/b x/a tcp 80': false, 'world x/a tcp 80': false },
  ]),
  scenario('ingress from namespaces', [
    [put(networkPolicy('x/in', ingressFrom(namespacesAt({ ns: 'z' }))))],
    { 'z/b x/a tcp 80': true, 'z/c x/a icmp 0': true, 'y/b x/a tcp 80': false, 'x/b x/a tcp 80': false },
  ]),
  scenario('ingress from all namespaces: pods alone', [
    [put(networkPolicy('x/in', ingressFrom({ namespaceSelector: {} })))],
    { 'z/b x/a tcp 80': true, 'x/b x/a tcp 80': true, 'world x/a tcp 80': false, 'node-2 x/a tcp 80': false },
  ]),
  scenario('ingress from pods of namespaces: both demanded', [
    [put(networkPolicy('x/in', ingressFrom({ ...namespacesAt({ ns: 'y' }), ...podsAt({ pod: 'b' }) })))],
    { 'y/b x/a tcp 80': true, 'y/c x/a tcp 80': false, 'x/b x/a tcp 80': false, 'z/b x/a tcp 80': false },
  ]),
  scenario('two peers: either is enough', [
    [put(networkPolicy('x/in', ingressFrom(namespacesAt({ ns: 'y' }), podsAt({ pod: 'b' }))))],
    { 'y/c x/a tcp 80': true, 'x/b x/a tcp 80': true, 'x/c x/a tcp 80': false, 'z/b x/a tcp 80': false },
  ]),
  scenario('two rules: either is enough', [
    [
      put(
        networkPolicy('x/in', {
          podSelector: {},
          ingress: [{ from: [namespacesAt({ ns: 'y' })] }, { from: [namespacesAt({ ns: 'z' })] }],
        }),
      ),
    ],
    { 'y/c x/a tcp 80': true, 'z/b x/a tcp 80': true, 'x/c x/a tcp 80': false },
  ]),
  scenario('two policies: either is enough', [
    [
      put(networkPolicy('x/in-y', ingressFrom(namespacesAt({ ns: 'y' })))),
      put(networkPolicy('x/in-z', ingressFrom(namespacesAt({ ns: 'z' })))),
    ],
    { 'y/c x/a tcp 80': true, 'z/b x/a tcp 80': true, 'x/c x/a tcp 80': false },
  ]),
  ...(
    [
      ['In', byLabel('ns', 'In', 'x', 'z'), true, false, true],
      ['NotIn', byLabel('ns', 'NotIn', 'x'), false, true, true],
      ['Exists', byLabel('ns', 'Exists'), true, true, true],
      ['DoesNotExist', byLabel('ns', 'DoesNotExist'), false, false, false],
      ['its name', labels({ 'kubernetes.io/metadata.name': 'y' }), false, true, false],
    ] as const
  ).map(([operator, namespaceSelector, x, y, z]) =>
    scenario(`namespaces by ${operator}`, [
      [put(networkPolicy('x/in', ingressFrom({ namespaceSelector })))],
      { 'x/b x/a tcp 80': x, 'y/b x/a tcp 80': y, 'z/b x/a tcp 80': z },
    ]),
  ),
  scenario('peers by an expression over pods', [
    [put(networkPolicy('x/in', ingressFrom({ namespaceSelector: {}, podSelector: byLabel('pod', 'NotIn', 'b') })))],
    { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false, 'z/b x/c tcp 80': false, 'z/c x/c tcp 80': true },
  ]),
  scenario('egress to pods of the own namespace', [
    [put(networkPolicy('x/out', egressTo(podsAt({ pod: 'b' }))))],
    { 'x/a x/b tcp 80': true, 'x/a x/c tcp 80': false, 'x/a y/b tcp 80': false, 'x/a z/b tcp 80': false },
  ]),
  scenario('egress to namespaces', [
    [put(networkPolicy('x/out', egressTo(namespacesAt({ ns: 'z' }))))],
    { 'x/a z/b tcp 80': true, 'x/a z/b icmp 0': true, 'x/a x/b tcp 80': false, 'x/a world tcp 80': false },
  ]),
  scenario('egress to pods of namespaces: both demanded', [
    [put(networkPolicy('x/out', egressTo({ ...namespacesAt({ ns: 'z' }), ...podsAt({ pod: 'c' }) })))],
    { 'x/a z/c tcp 80': true, 'x/a z/b tcp 80': false, 'x/a x/c tcp 80': false },
  ]),
  scenario('peers that match nobody allow nobody', [
    [put(networkPolicy('x/in', ingressFrom(podsAt({ pod: 'nobody' }), namespacesAt({ ns: 'nowhere' }))))],
    { 'x/b x/a tcp 80': false, 'y/b x/a tcp 80': false, 'node-1 x/a tcp 80': true },
  ]),
]
