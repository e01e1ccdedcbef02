// What rules and policies ask for, in words, without a packet.
import { type PeerMatch, type PodMatch, type PolicyRule } from './policy.ts'
import { portText, selectorText } from './words.ts'

/** More of them are counted. */
const shown = 4

function some(texts: readonly string[]): string {
  const more = texts.length - shown
  return more > 1 ? `${texts.slice(0, shown).join(', ')} and ${more} more` : texts.join(', ')
}

export function podMatchText({ namespaces, pods }: PodMatch): string {
  const which = pods.length === 0 ? 'all pods' : `pods ${selectorText(pods)}`
  if (namespaces.kind === 'name') return `${which} in namespace ${namespaces.name}`
  return namespaces.selector.length === 0
    ? `${which} in all namespaces`
    : `${which} in namespaces ${selectorText(namespaces.selector)}`
}

function peerText(peer: PeerMatch): string {
  if (peer.kind === 'pods') return podMatchText(peer)
  const { cidr, except } = peer
  return except.length === 0 ? `${cidr}` : `${cidr} except ${some(except.map(String))}`
}

/** "pods app=api in namespace shop; TCP 5432" */
export function ruleText({ peers, ports }: PolicyRule): string {
  const peersText = peers === 'any' ? 'any peer' : peers.length === 0 ? 'no peer' : some(peers.map(peerText))
  const portsText = ports === 'any' ? 'any port' : ports.length === 0 ? 'no port' : some(ports.map(portText))
  return `${peersText}; ${portsText}`
}
