// Endpoints as rows of the state file.
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PodAddress } from '#/model/network.ts'
import { type Bandwidth } from '#/wire/cni/index.ts'
import { type Endpoint } from './endpoints.ts'

export type Row = {
  container_id: string
  if_name: string
  network: string
  netns: string
  netns_id: string
  boot_id: string
  pod: string
  host_device: string
  mac: string
  bandwidth: string
  created_ms: number
  is_ready: number
  addrs: string | null
}

export const selectEndpoints = `
  SELECT e.*, (SELECT group_concat(addr || ' ' || cidr, ',') FROM (SELECT addr, cidr FROM address a
    WHERE a.container_id = e.container_id AND a.if_name = e.if_name ORDER BY position)) AS addrs
  FROM endpoint e`

function toPodAddress(text: string): PodAddress {
  const [addr = '', cidr = ''] = text.split(' ')
  return { addr: Addr.parse(addr), cidr: Prefix.parse(cidr) }
}

export function toEndpoint(row: Row): Endpoint {
  return {
    containerId: row.container_id,
    ifName: row.if_name,
    network: row.network,
    netns: row.netns,
    netnsId: row.netns_id,
    bootId: row.boot_id,
    pod: row.pod,
    hostDevice: row.host_device,
    addrs: row.addrs === null ? [] : row.addrs.split(',').map(toPodAddress),
    mac: row.mac,
    bandwidth: JSON.parse(row.bandwidth) as Bandwidth,
    createdMs: row.created_ms,
    isReady: row.is_ready === 1,
    datapath: 'bridge',
  }
}
