// A short slice of what `npm run test:fuzz` does for long.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { programNames } from '#/wire/bpf/maps.ts'
import { Fuzzer } from './ebpf/fuzzer.ts'

/** What has to come about at least once, or the frames are no good. */
const due = {
  cw_from_pod: [
    'carried',
    'stack',
    ...[
      'source_address',
      'source_mac',
      'arp_sender',
      'neighbour_target',
      'router_message',
      'malformed',
      'protocol',
      'tunnel_from_pod',
      'policy',
    ].map((reason) => `dropped ${reason}`),
  ],
  cw_to_pod: ['stack', 'dropped redirect'],
  cw_from_underlay: ['carried', 'stack', 'dropped policy'],
  cw_from_tunnel: ['carried', 'stack', 'dropped malformed', 'dropped policy'],
} as const

for (const program of programNames) {
  test(`${program} does with random frames what the oracle expects`, async () => {
    using fuzzer = await Fuzzer.make(20_261_130)
    fuzzer.run(program, 10_000)
    for (const outcome of due[program]) assert.ok(fuzzer.outcomes.has(outcome), `never ${outcome}`)
  })
}
