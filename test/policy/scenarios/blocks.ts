// Peers by address. Pods of node-1 have 10.244.1.0/24 and fd10:244:0:1::/64, those of node-2 10.244.2.0/24 and fd10:244:0:2::/64, the world
// 192.0.2.7 and 2001:db8::7, the nodes 172.30.1.N and fd30::N.
import { labels, namespacesAt, networkPolicy, podsAt, put, scenario, type Spec } from '../model.ts'

const block = (cidr: string, ...except: readonly string[]): Spec => ({
  ipBlock: { cidr, ...(except.length > 0 && { except }) },
})
const ingressFrom = (...from: readonly Spec[]): Spec => ({
  podSelector: {},
  policyTypes: ['Ingress'],
  ingress: [{ from }],
})
const egressTo = (...to: readonly Spec[]): Spec => ({ podSelector: {}, policyTypes: ['Egress'], egress: [{ to }] })
const everywhere = [block('0.0.0.0/0'), block('::/0')]

export const blocks = [
  scenario('ingress from everywhere by blocks', [
    [put(networkPolicy('x/in', ingressFrom(...everywhere)))],
    { 'y/a x/a tcp 80': true, 'world x/a udp 80': true, 'node-2 x/a tcp 80': true, 'z/a x/a icmp 0': true },
  ]),
  scenario('ingress from the world alone', [
    [put(networkPolicy('x/in', ingressFrom(block('192.0.2.0/24'), block('2001:db8::/32'))))],
    { 'world x/a tcp 80': true, 'y/a x/a tcp 80': false, 'z/a x/a tcp 80': false },
  ]),
  scenario('ingress from pods by their CIDR', [
    [put(networkPolicy('x/in', ingressFrom(block('10.244.2.0/24'), block('fd10:244:0:2::/64'))))],
    { 'z/a x/a tcp 80': true, 'y/a x/a tcp 80': false, 'world x/a tcp 80': false },
  ]),
  scenario('ingress from everywhere, pods excepted', [
    [put(networkPolicy('x/in', ingressFrom(block('0.0.0.0/0', '10.244.0.0/16'), block('::/0', 'fd10:244::/48'))))],
    { 'world x/a tcp 80': true, 'node-2 x/a tcp 80': true, 'z/a x/a tcp 80': false, 'x/b x/a tcp 80': false },
  ]),
  scenario('an exception of one block is allowed by another peer', [
    [
      put(
        networkPolicy(
          'x/in',
          ingressFrom(
            block('0.0.0.0/0', '10.244.0.0/16'),
            block('::/0', 'fd10:244::/48'),
            block('10.244.2.0/24'),
            block('fd10:244:0:2::/64'),
            podsAt({ pod: 'b' }),
          ),
        ),
      ),
    ],
    { 'z/a x/a tcp 80': true, 'x/b x/a tcp 80': true, 'x/c x/a tcp 80': false, 'y/b x/a tcp 80': false },
  ]),
  scenario('egress to one address', [
    [put(networkPolicy('x/out', egressTo(block('192.0.2.7/32'), block('2001:db8::7/128'))))],
    { 'x/a world tcp 80': true, 'x/a z/a tcp 80': false, 'x/a node-2 tcp 80': false, 'x/a node-1 tcp 80': true },
  ]),
  scenario('egress to everywhere but one address', [
    [put(networkPolicy('x/out', egressTo(block('0.0.0.0/0', '192.0.2.7/32'), block('::/0', '2001:db8::7/128'))))],
    { 'x/a world tcp 80': false, 'x/a z/a tcp 80': true, 'x/a y/a udp 81': true, 'x/a node-2 tcp 80': true },
  ]),
  scenario('exceptions that touch and overlap', [
    [
      put(
        networkPolicy(
          'x/out',
          egressTo(
            block('10.244.0.0/16', '10.244.0.0/24', '10.244.1.0/24', '10.244.0.0/23'),
            block('fd10:244::/48', 'fd10:244:0:1::/64', 'fd10:244::/63'),
          ),
        ),
      ),
    ],
    { 'x/a z/a tcp 80': true, 'x/a y/a tcp 80': false, 'x/a world tcp 80': false },
  ]),
  scenario('a block of one family says nothing of the other', [
    [put(networkPolicy('x/in', ingressFrom(block('0.0.0.0/0'))))],
    { 'y/a x/a tcp 80 4': true, 'y/a x/a tcp 80 6': false, 'world x/a tcp 80 4': true, 'world x/a tcp 80 6': false },
  ]),
  scenario('blocks and selectors in several policies', [
    [
      put(networkPolicy('x/in', ingressFrom(block('192.0.2.0/24'), block('2001:db8::/32')))),
      put(networkPolicy('x/in-z', { ...ingressFrom(namespacesAt({ ns: 'z' })), podSelector: labels({ pod: 'a' }) })),
    ],
    { 'z/a x/a tcp 80': true, 'z/a x/b tcp 80': false, 'world x/b tcp 80': true },
  ]),
  scenario(
    'a block that is changed',
    [
      [put(networkPolicy('x/in', ingressFrom(block('10.244.2.0/24'), block('fd10:244:0:2::/64'))))],
      { 'z/a x/a tcp 80': true, 'world x/a tcp 80': false },
    ],
    [
      [put(networkPolicy('x/in', ingressFrom(block('192.0.2.0/24'), block('2001:db8::/32'))))],
      { 'z/a x/a tcp 80': false, 'world x/a tcp 80': true },
    ],
  ),
]
