// The problems of BGP's objects (40xx) and sessions (41xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const fromDefinition = 'the spec of the object, compared with what docs/bgp-objects.md says that its fields may be'

export const bgpProblemCatalogue = {
  CW4001: {
    title: 'An object is not looked at',
    about: 'cluster object',
    how: 'the name of the object: of its kind only one counts',
    remedy: 'write what it says into the object named "default", then delete it',
  },
  CW4002: {
    title: 'A field of an object cannot be used',
    about: 'cluster object',
    how: fromDefinition,
    remedy: 'correct the field; until then its default holds',
  },
  CW4003: {
    title: "A field of this node's BGPNode cannot be used",
    about: 'own object',
    how: fromDefinition,
    remedy: 'correct the field; until then its default holds',
  },
  CW4004: {
    title: 'A BGPPeer is kept down: a field that protects it cannot be used',
    about: 'cluster object',
    how: fromDefinition,
    remedy:
      'correct the field; until then there is no session, because one without that protection is not what was asked for',
  },
  CW4005: {
    title: 'A BGPPeer names no neighbour that can be used',
    about: 'cluster object',
    how: fromDefinition,
    remedy: 'correct the field; until then no node has a session with this neighbour',
  },
  CW4101: {
    title: 'Two BGPPeers are with one neighbour',
    about: 'cluster object',
    how: 'spec.peerAddress and spec.device of the BGPPeers that select this node; the one whose name sorts first is taken',
    remedy: 'delete one of the two, or let their spec.nodeSelector select different nodes',
  },
  CW4102: {
    title: 'A password of BGP cannot be used',
    about: 'cluster object',
    how: 'what the API tells of the Secret',
    remedy:
      'correct the Secret, the reference to it, or the right to read it; until then there is no session, because none is tried without its password',
  },
  CW4103: {
    title: 'A reflector client is of another AS',
    about: 'cluster object',
    how: 'spec.peerASN and the AS of this node',
    remedy: 'remove spec.reflectorClient, or correct spec.peerASN',
  },
  CW4104: {
    title: 'A family of a BGPPeer is left out',
    about: 'cluster object',
    how: 'spec.families of the BGPPeer, and the addresses and pod CIDRs of this node',
    remedy: 'give the node an address of that family, or take it out of spec.families',
  },
  CW4105: {
    title: 'A passive BGPPeer waits for connections that cannot come',
    about: 'cluster object',
    how: 'spec.mode of the BGPPeer and spec.listenPort of the BGPConfiguration',
    remedy: 'set spec.listenPort of the BGPConfiguration, or another spec.mode',
  },
  CW4106: {
    title: 'The node mesh cannot be as it is configured',
    about: 'cluster object',
    how: 'the spec of the BGPConfiguration and the labels of all nodes',
    remedy: 'correct the field',
  },
  CW4107: {
    title: 'Two nodes have one router id',
    about: 'node',
    how: 'the addresses of all nodes, of which the router ids are made',
    remedy: "set spec.routerID of this node's BGPNode",
  },
  CW4108: {
    title: 'This node is drained: BGP tells nobody of its pod CIDRs',
    about: 'own object',
    how: "spec.drained of this node's BGPNode",
    remedy: 'when the work on the node is done, set spec.drained to false; until then routers send its pods nothing',
  },
  CW4109: {
    title: 'Neighbours cannot connect: the port of BGP is taken',
    about: 'node',
    how: "the kernel's answer when the speaker listened, and the sockets of this node's processes",
    remedy:
      'let only one BGP speaker of the node listen on the port: set spec.listenPort of the BGPConfiguration to another one (0: none), or have the program named here listen elsewhere; end it only if nothing needs its routes. The speaker tries again by itself, within half a minute',
  },
  CW4110: {
    title: 'BFD hears nothing: its port is taken',
    about: 'node',
    how: "the kernel's answer when the speaker listened, and the sockets of this node's processes",
    remedy:
      'leave out bfd of the BGPPeers and the BGPConfiguration, or have the program named here run without BFD. The speaker tries again by itself, every ten seconds',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
