// Converts endpoints to and from rows of the state file (endpoint-schema.ts makes its tables).
import { type DatabaseSync } from 'node:sqlite'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type DatapathName, datapathNames, isDatapathName } from '#/model/datapath.ts'
import { type EndpointState } from '#/model/endpoint.ts'
import { type PodAddress } from '#/model/network.ts'
import { type Attachment, type Bandwidth, type PortMapping } from '#/wire/cni/index.ts'
import { type Endpoint } from './endpoint-store.ts'
import { prepared } from './prepared.ts'

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
  datapath: string
  pod_uid: string
  state: EndpointState
  addrs: string | null
  /** A list as JSON. */
  port_mappings: string
}

export const selectEndpoints = `
  SELECT e.*, (SELECT group_concat(addr || ' ' || cidr, ',') FROM (SELECT addr, cidr FROM address a
    WHERE a.container_id = e.container_id AND a.if_name = e.if_name ORDER BY position)) AS addrs,
    (SELECT json_group_array(json_object('hostPort', host_port, 'containerPort', container_port, 'protocol', protocol, 'hostIP', host_ip))
      FROM (SELECT * FROM port_mapping p WHERE p.container_id = e.container_id AND p.if_name = e.if_name ORDER BY position)
    ) AS port_mappings
  FROM endpoint e`

type PortMappingRow = Omit<PortMapping, 'hostIP'> & { readonly hostIP: string }

function toPortMapping({ hostIP, ...rest }: PortMappingRow): PortMapping {
  return { ...rest, ...(hostIP !== '' && { hostIP: Addr.parse(hostIP) }) }
}

function toPodAddress(text: string): PodAddress {
  const [addr = '', cidr = ''] = text.split(' ')
  return { addr: Addr.parse(addr), cidr: Prefix.parse(cidr) }
}

/**
 * Throws when an address, a CIDR or the limits cannot be parsed. A row may name a datapath that this agent does not know, when a newer
 * agent wired the pod and was rolled back. This agent then treats the pod as one of its own default datapath: all datapaths name a pod's
 * host device alike and set up the pod's side alike, so this one can attach the device, keep it in order, and remove it at a DEL. The
 * row keeps the unknown name, so that the newer agent, once it is back, returns the pod to its datapath.
 */
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
    datapath: isDatapathName(row.datapath) ? row.datapath : datapathNames[0],
    podUid: row.pod_uid,
    state: row.state,
    portMappings: (JSON.parse(row.port_mappings) as PortMappingRow[]).map(toPortMapping),
  }
}

/** Writes an endpoint and the claims on its addresses, and ends their cool-down. The caller runs the transaction. */
export function insertEndpoint(db: DatabaseSync, endpoint: Endpoint): void {
  const { containerId, ifName } = endpoint
  prepared(
    db,
    `INSERT INTO endpoint (container_id, if_name, network, netns, netns_id, boot_id, pod, pod_uid, host_device, mac, bandwidth,
       created_ms, datapath, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    containerId,
    ifName,
    endpoint.network,
    endpoint.netns,
    endpoint.netnsId,
    endpoint.bootId,
    endpoint.pod,
    endpoint.podUid,
    endpoint.hostDevice,
    endpoint.mac,
    JSON.stringify(endpoint.bandwidth),
    endpoint.createdMs,
    endpoint.datapath,
    endpoint.state,
  )
  for (const [position, { addr, cidr }] of endpoint.addrs.entries()) {
    prepared(db, 'INSERT INTO address VALUES (?, ?, ?, ?, ?)').run(
      String(addr),
      String(cidr),
      containerId,
      ifName,
      position,
    )
    prepared(db, 'INSERT OR REPLACE INTO cursor VALUES (?, ?)').run(String(cidr), String(addr))
    prepared(db, 'DELETE FROM resting WHERE addr = ?').run(String(addr))
  }
  for (const [position, { protocol, hostPort, containerPort, hostIP }] of endpoint.portMappings.entries()) {
    prepared(db, 'INSERT INTO port_mapping VALUES (?, ?, ?, ?, ?, ?, ?)').run(
      containerId,
      ifName,
      position,
      protocol,
      hostPort,
      containerPort,
      hostIP === undefined ? '' : String(hostIP),
    )
  }
}

/** The caller has made sure that the endpoint may be put into that state. */
export function updateState(db: DatabaseSync, { containerId, ifName }: Attachment, state: EndpointState): void {
  const sql = 'UPDATE endpoint SET state = ? WHERE container_id = ? AND if_name = ?'
  prepared(db, sql).run(state, containerId, ifName)
}

export function updateDatapath(db: DatabaseSync, endpoints: readonly Attachment[], datapath: DatapathName): void {
  const update = db.prepare('UPDATE endpoint SET datapath = ? WHERE container_id = ? AND if_name = ?')
  for (const { containerId, ifName } of endpoints) update.run(datapath, containerId, ifName)
}
