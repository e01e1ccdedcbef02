import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type AddRequest } from '#/wire/cni/index.ts'
import { deviceMac } from '#/model/names.ts'
import { isInPool } from '#/plan/allocate.ts'
import { readPodRequest } from './pod-request.ts'

const cidrs = ['10.0.0.0/24', 'fd00::/64', '10.0.9.0/31'].map(Prefix.parse)

function request(annotations: Record<string, string>, ips: string[] = [], mac?: string): AddRequest {
  return {
    kind: 'add',
    cniVersion: '1.1.0',
    network: 'causeway',
    containerId: 'c',
    ifName: 'eth0',
    netns: '/x',
    args: {},
    requestedIps: ips.map((text) => ({ address: Addr.parse(text) })),
    runtimeConfig: {
      portMappings: [],
      ips: [],
      podAnnotations: new Map(Object.entries(annotations)),
      ...(mac !== undefined && { mac }),
    },
  }
}

function outcome(asked: AddRequest): string {
  const read = readPodRequest(asked, cidrs)
  return read.kind === 'fault' ? read.message : `${read.addrs.join(' ')} ${read.mac ?? ''}`.trim()
}

test('an annotation counts when the runtime requests nothing for this interface', () => {
  const annotation = { 'causeway.dev/ips': ' 10.0.0.9 ,fd00::9', 'causeway.dev/mac': '0A-58-0A-00-00-09' }
  assert.equal(outcome(request(annotation)), '10.0.0.9 fd00::9 0a:58:0a:00:00:09')
  assert.equal(outcome(request(annotation, ['10.0.0.7'], '0a:00:00:00:00:01')), '10.0.0.7 0a:00:00:00:00:01')
  assert.equal(outcome(request({})), '')
})

test('an address of a CIDR without room for pods is refused with what to do', () => {
  assert.match(outcome(request({}, ['10.0.9.0'])), /^the requested address 10\.0\.9\.0 cannot be given: .* too small/)
})

test('any annotation gives addresses for pods, at most one of each family, or a fault of one line', () => {
  const near = fc.nat(300).map((offset) => String(cidrs[0]!.addr.plus(offset)))
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f.:, ]{0,40}$/), fc.array(near).map(String))
  fc.assert(
    fc.property(text, text, (ips, mac) => {
      const read = readPodRequest(request({ 'causeway.dev/ips': ips, 'causeway.dev/mac': mac }), cidrs)
      if (read.kind === 'fault') return assert.ok(read.message.length > 0)
      assert.ok(read.addrs.every((addr) => cidrs.some((cidr) => isInPool(cidr, addr))))
      assert.equal(new Set(read.addrs.map(({ family }) => family)).size, read.addrs.length)
      assert.match(read.mac ?? '', /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/)
    }),
  )
})

test("no pod gets a MAC that the node's bridge or a host end may have", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (device, owner) => {
      const mac = deviceMac(device, owner)
      for (const text of [mac, mac.toUpperCase().replaceAll(':', '-')]) {
        assert.equal(
          outcome(request({}, [], text)),
          `the requested MAC ${mac} may be that of one of the node's devices, whose MACs begin with 02:43: request another one`,
        )
      }
    }),
  )
})
