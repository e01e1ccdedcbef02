// This kernel's verifier takes every program, and this kernel attaches them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { loadObject } from '#/kernel/bpf/object.ts'
import { mustMatch } from '#/kernel/bpf/must-match.ts'
import { type MapName, mapLayouts, programNames } from '#/wire/bpf/maps.ts'
import { type TraceMapName, traceMapLayouts, tracePrograms } from '#/wire/bpf/trace.ts'
import { must } from '../e2e/harness.ts'

test('the kernel takes every program and every map of the object file', async (context) => {
  must('modprobe', 'nf_conntrack')
  const startedMs = performance.now()
  using object = await loadObject({ bytes: readFileSync(bpfObjectPath()) })
  context.diagnostic(`all loaded in ${Math.round(performance.now() - startedMs)} ms`)
  for (const name of programNames) {
    const { jitedBytes, verifiedInstructions } = object.programs.get(name)!.info
    assert.ok(jitedBytes > 0, `${name} is compiled`)
    // the verifier gives up after a million
    assert.ok(verifiedInstructions < 500_000, `${name}: ${verifiedInstructions} instructions verified`)
    context.diagnostic(`${name}: ${verifiedInstructions} instructions verified, ${jitedBytes} bytes compiled`)
  }
  for (const name of Object.keys(mapLayouts) as MapName[]) mustMatch(object.maps.get(name)!, mapLayouts[name])
})

test('and those of traces', async (context) => {
  using object = await loadObject({ bytes: readFileSync(bpfObjectPath('trace')) })
  for (const name of tracePrograms) {
    const { jitedBytes, verifiedInstructions } = object.programs.get(name)!.info
    assert.ok(jitedBytes > 0, `${name} is compiled`)
    context.diagnostic(`${name}: ${verifiedInstructions} instructions verified, ${jitedBytes} bytes compiled`)
  }
  for (const name of Object.keys(traceMapLayouts) as TraceMapName[])
    mustMatch(object.maps.get(name)!, traceMapLayouts[name])
})
