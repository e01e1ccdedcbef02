// Ethernet, VLAN tags and ARP. Pure.
import { type Header } from './header.ts'
import { type Next } from './layers.ts'
import { etherTypeName, layerOfEtherType } from './names.ts'

/** Smaller numbers are lengths (IEEE 802.3). */
const leastEtherType = 0x0600

function byType(header: Header): Next {
  const type = header.hex('type', 2, etherTypeName)
  return { layer: type < leastEtherType ? 'payload' : layerOfEtherType(type) }
}

export function ethernet(header: Header): Next {
  header.mac('destination')
  header.mac('source')
  return byType(header)
}

export function vlan(header: Header): Next {
  const tag = header.u16()
  header.note('priority', tag >> 13)
  header.note('VLAN', tag & 0x0fff)
  return byType(header)
}

const ethernetKind = 1
const ipv4Type = 0x0800
const operations: Readonly<Record<number, string>> = { 1: 'request', 2: 'reply' }

export function arp(header: Header): undefined {
  const kind = header.number('hardware', 2, (value) => (value === ethernetKind ? 'Ethernet' : undefined))
  const type = header.hex('protocol', 2, etherTypeName)
  const [macBytes, addrBytes] = [header.u8(), header.u8()]
  header.number('operation', 2, (value) => operations[value])
  const isUsual = kind === ethernetKind && type === ipv4Type && macBytes === 6 && addrBytes === 4
  for (const side of ['sender', 'target']) {
    if (isUsual) {
      header.mac(`${side} MAC`)
      header.addr(`${side} address`, 4)
    } else {
      header.raw(`${side} hardware address`, macBytes)
      header.raw(`${side} protocol address`, addrBytes)
    }
  }
}
