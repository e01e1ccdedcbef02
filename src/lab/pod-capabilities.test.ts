import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Pod } from '#/model/kubernetes.ts'
import { messageOf } from '#/lib/log.ts'
import { capabilityArgsOf, wantedOf } from './pod-capabilities.ts'

const pod = (annotations: Record<string, string>, ...ports: unknown[]): Pod => ({
  metadata: { name: 'p', annotations },
  spec: { containers: [{ name: 'a', ports }] },
})

test('a pod without wishes asks for its annotations to be passed on, and nothing else', () => {
  const annotations = { 'causeway.dev/ips': '10.244.0.9' }
  assert.deepEqual(capabilityArgsOf(pod(annotations, { containerPort: 80 })), {
    'io.kubernetes.cri.pod-annotations': annotations,
  })
})

test('host ports and rates are passed as containerd does', () => {
  const annotations = { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '1.5Ki' }
  const args = capabilityArgsOf(
    pod(
      annotations,
      { hostPort: 8000, containerPort: 80 },
      { hostPort: 53, containerPort: 53, protocol: 'UDP', hostIP: '::1' },
    ),
  )
  const portMappings = [
    { HostPort: 8000, ContainerPort: 80, Protocol: 'tcp', HostIP: '' },
    { HostPort: 53, ContainerPort: 53, Protocol: 'udp', HostIP: '::1' },
  ]
  const burst = 4_294_967_295
  assert.deepEqual(args['portMappings'], portMappings)
  assert.deepEqual(args['bandwidth'], { IngressRate: 1e7, IngressBurst: burst, EgressRate: 1536, EgressBurst: burst })
  assert.deepEqual(wantedOf(args, { portMappings: true, bandwidth: false }), { portMappings })
})

test('any annotation is a rate that runtimes allow, or is refused with its name', () => {
  const name = 'kubernetes.io/egress-bandwidth'
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[0-9.]{1,4}[kKMGTPEim]{0,2}$/),
    fc.stringMatching(/^\d{1,3}e-?\d{1,4}$/),
  )
  fc.assert(
    fc.property(text, (rate) => {
      try {
        const { EgressRate: bps } = capabilityArgsOf(pod({ [name]: rate }))['bandwidth'] as { EgressRate: number }
        assert.ok(Number.isSafeInteger(bps) && bps >= 1000 && bps <= 1e15, `${rate} is ${bps}`)
      } catch (error) {
        assert.ok(messageOf(error).startsWith(`annotation ${name}="${rate}" is no rate`), messageOf(error))
      }
    }),
  )
  assert.throws(() => capabilityArgsOf(pod({ [name]: '10' })), {
    message: /is no rate from 1k to 1P, in bits per second/,
  })
  assert.throws(() => capabilityArgsOf(pod({ [name]: '10MB' })), {
    message: /is no rate such as 10M, in bits per second/,
  })
})
