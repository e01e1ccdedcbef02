// What `causeway test connectivity` says of a lab that is broken on purpose.
import assert from 'node:assert/strict'
import { LabPaths } from '#/lab/paths.ts'
import { causeway, must, run } from '../e2e/harness.ts'
import { type Broken } from './play.ts'

type Packet = { readonly state: string; readonly code?: string; readonly text: string }
type Fault = { readonly subject: string; readonly text: string; readonly code?: string }
type Scenario = {
  readonly name: string
  readonly state: string
  readonly text: string
  readonly packets: readonly Packet[]
  readonly faults: readonly Fault[]
}

const distinct = (codes: readonly string[]): string[] => [...new Set(codes)].toSorted()

const faultText = ({ subject, code, text }: Fault): string => `${code} ${subject}: ${text}`

/** It fails with what doctor has told, blames no packet on anything else, and leaves nothing. Returns which scenarios failed. */
export function connectivity({ fault, struck, codes, stale }: Broken): string {
  const { status, stdout, stderr } = run(causeway, ['test', 'connectivity', '--lab', struck.lab, '--json'])
  assert.notEqual(stdout, '', stderr)
  const { scenarios } = JSON.parse(stdout) as { readonly scenarios: readonly Scenario[] }
  const failed = scenarios.filter(({ state }) => state === 'failed')
  const told = failed.map(({ name, text }) => `${name}: ${text}`).join('\n')
  const staleCodes = new Set([...stale].map((name) => name.split(' ')[0]!))
  const isOwn = (code: string | undefined): boolean =>
    code === undefined || codes.includes(code) || !staleCodes.has(code)

  const doctor = scenarios.find(({ name }) => name === 'doctor')!
  const found = doctor.faults.filter(({ code }) => isOwn(code))
  assert.deepEqual(
    distinct(found.map(({ code = 'none' }) => code)),
    distinct(codes),
    `${told}\n${found.map(faultText).join('\n')}`,
  )
  for (const { name, packets } of failed)
    for (const { state, code, text } of packets)
      if (state !== 'passed') assert.ok(codes.includes(code!) || staleCodes.has(code!), `${name}: ${code} ${text}`)
  for (const { name, faults } of failed)
    if (name !== 'doctor')
      for (const each of faults) assert.ok(codes.includes(each.code!), `${name}: ${faultText(each)}`)

  assert.equal(status, failed.length === 0 ? 0 : 1, told)
  // what is told of a fault before, for a while after its end, fails doctor's part alone
  const isOther = failed.length === 1 && found.length === 0
  assert.equal(failed.length > 0 && !isOther, codes.length > 0, `${fault}: ${told}`)
  // what an agent that hangs has wired goes when it answers again
  if (!codes.includes('CW6001')) {
    assert.doesNotMatch(must('ip', 'netns', 'list'), new RegExp(`cw-${struck.lab}-pod-causeway-test`))
    const { kubeconfig } = new LabPaths(struck.lab)
    assert.doesNotMatch(must('kubectl', '--kubeconfig', kubeconfig, 'get', 'pods', '-A'), /causeway-test/)
  }
  return `connectivity ${failed.map(({ name }) => name).join(' ') || 'nothing'}`
}
