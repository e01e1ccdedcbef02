// Causes a fault in a lab through the command line, asserts what it does and what tells it, takes it back, and asserts that nothing is left.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { faults } from '#/lab/faults/catalogue.ts'
import { codesOfDoctor, codesTold } from '#/lab/faults/fault.ts'
import { LabPaths } from '#/lab/paths.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { labNodes, type LabSpec } from '#/lab/spec.ts'
import { causeway, eventually, must, type TestLab, type UpReport } from '../e2e/harness.ts'
import { assertFindings, assertTrace, doctorOf, findingsText, nameOf as nameOfFinding } from './diagnosis.ts'
import { effects, type Struck } from './effects.ts'
import { codesOfCheck, codesOfEvents, differences, isReadyIn, probedIn, stateOf, toldIn } from './fault-lab.ts'

/** After the end of a contest its problem stays for the pause that it has led to, and what programs dropped is told for five minutes. */
const staysAfterwards = new Set(['CW2009', 'CW3232', 'CW7004'])
/** Until agents have noticed, on a busy machine: what is told at all is told within this time (docs/faults.md). */
const toldMs = 120_000
/** What takes a minute is asked for without haste. */
const pollMs = 300

function struckOf(lab: TestLab, { pods }: UpReport): Omit<Struck, 'probes'> {
  const spec = specOf(lab)
  const [node, peer] = labNodes(spec).map(({ name }) => name) as [string, string]
  const firstOn = (name: string): string => pods.find((pod) => pod.node === name)!.name
  return {
    lab: lab.name,
    spec,
    node,
    peer,
    pod: firstOn(node),
    peerPod: firstOn(peer),
    addrOf: (pod, family) =>
      pods.find(({ name }) => name === pod)!.addrs.find((addr) => addr.includes(':') === (family === 6))!,
  }
}

const nameOf = ({ from, to, family, protocol }: Struck['probes'][number]): string =>
  `${from} to ${to} ${protocol} IPv${family}`

/** Asserts that the probes fail that should, and no other. */
async function assertEffect(fault: string, struck: Omit<Struck, 'probes'>): Promise<Struck> {
  const effect = effects[fault]!
  let probes: Struck['probes'] = []
  let wrong: string[] = []
  // a path that lost its route may need a moment to find out
  for (let attempt = 0; attempt < 4; attempt++) {
    probes = await probedIn(struck.lab)
    wrong = probes.flatMap((probe) => {
      const fails = effect.fails(probe, { ...struck, probes })
      return fails === undefined || fails !== probe.isFine
        ? []
        : [`${nameOf(probe)}: ${probe.isFine ? 'arrives' : 'fails'}`]
    })
    if (wrong.length === 0) break
    await sleep(1000)
  }
  assert.deepEqual(wrong, [], fault)
  effect.seen?.({ ...struck, probes })
  return { ...struck, probes }
}

export const specOf = (lab: TestLab): LabSpec => readSpec(new LabPaths(lab.name))!

/** The faults that the lab can have, of those in `names`, or of all. */
export function possibleIn(lab: TestLab, names?: readonly string[]): string[] {
  const spec = specOf(lab)
  return faults
    .filter(({ name, needs }) => (names === undefined || names.includes(name)) && needs?.(spec) === undefined)
    .map(({ name }) => name)
}

/** The state of a lab in which all is well, once it changes no more: after the fault before, sessions and routes come back in turn. */
async function calmStateOf(lab: string): Promise<Map<string, string>> {
  let before = await stateOf(lab)
  await eventually('a lab in which nothing changes', async () => {
    const isWell = (await isReadyIn(lab)) && (await probedIn(lab)).every(({ isFine }) => isFine)
    const now = await stateOf(lab)
    const isCalm = isWell && differences(before, now).length === 0
    before = now
    return isCalm
  })
  return before
}

/** Doctor finds nothing in a lab in which all is well, but what is told for a while after its end: returns the names of those. */
async function healthyIn(lab: string): Promise<Set<string>> {
  let names: string[] = []
  await eventually('doctor finds nothing in a healthy lab', () => {
    const told = doctorOf(lab)
    const wrong = told.findings.filter(({ code }) => !staysAfterwards.has(code))
    assert.deepEqual(wrong, [], findingsText(told))
    names = told.findings.map(nameOfFinding)
    return true
  })
  return new Set(names)
}

/** A lab with a fault of which doctor has told. `stale`: the names of findings that are of faults before. */
export type Broken = {
  readonly fault: string
  readonly struck: Struck
  readonly codes: readonly string[]
  readonly stale: ReadonlySet<string>
}

/** Asserts what else says what is wrong; returns what it said, in short. */
export type Look = (broken: Broken) => string | Promise<string>

export const trace: Look = ({ fault, struck }) => `trace ${assertTrace(fault, struck)}`

/** Returns in short what doctor and `look` said. */
export async function play(lab: TestLab, report: UpReport, name: string, look: Look = trace): Promise<string> {
  const fault = faults.find((each) => each.name === name)!
  const struck = struckOf(lab, report)
  const before = await calmStateOf(lab.name)
  const stale = await healthyIn(lab.name)
  const wantedCodes = codesTold(fault, struck.spec)
  const sinceMs = Date.now()
  let said: string
  must(causeway, 'lab', 'break', name, '--name', lab.name)
  try {
    const seen = await assertEffect(name, struck)
    await eventually(
      `${name} is told as ${wantedCodes.join(' and ')}`,
      async () => {
        const told = await toldIn(lab.name)
        const elsewhere = [...(await codesOfEvents(lab.name, sinceMs)), ...(await codesOfCheck(lab.name))]
        const codes = new Set([...told.map(({ code }): string => code), ...elsewhere])
        const missing = wantedCodes.filter((code) => !codes.has(code))
        if (missing.length === 0) return true
        await sleep(pollMs)
        throw new Error(`told are ${told.map(({ code, message }) => `${code} ${message}`).join('; ')}`)
      },
      toldMs,
    )
    const wanted = { codes: codesOfDoctor(fault, struck.spec), node: struck.node, stale }
    await eventually(
      `doctor finds ${wanted.codes.join(' and ') || 'nothing'} for ${name}`,
      () => {
        assertFindings(doctorOf(lab.name), wanted)
        return true
      },
      toldMs,
    )
    const { codes } = wanted
    said = `doctor ${codes.join(' ') || 'nothing'}; ${await look({ fault: name, struck: seen, codes, stale })}`
  } finally {
    must(causeway, 'lab', 'mend', name, '--name', lab.name)
  }
  await eventually(
    `nothing is left of ${name}`,
    async () => {
      const left = differences(before, await stateOf(lab.name))
      if (left.length > 0) throw new Error(left.slice(0, 10).join('\n'))
      const told = (await toldIn(lab.name)).filter(({ code }) => !staysAfterwards.has(code))
      if (told.length > 0) throw new Error(told.map(({ code, message }) => `${code} ${message}`).join('; '))
      const failing = (await probedIn(lab.name)).filter(({ isFine }) => !isFine)
      if (failing.length > 0) throw new Error(failing.map(nameOf).join(', '))
      return isReadyIn(lab.name)
    },
    toldMs,
  )
  return said
}
