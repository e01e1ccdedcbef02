// Which faults are tested where.
import { test } from 'node:test'
import { TestLab } from '../e2e/harness.ts'
import { type Look, play, possibleIn } from './play.ts'

/** What is told only after a minute: what firewalls of the old iptables do. */
export const slowFaults: readonly string[] = ['forward-drop-legacy', 'bridge-netfilter']

/** Plays all faults that a lab of these options can have, but those that take long; or those of `names`. `look`: see `play`. */
export function playAll(
  what: string,
  options: readonly string[],
  { names, look }: { readonly names?: readonly string[]; readonly look?: Look } = {},
): void {
  void test(`every fault can be in a lab and be taken back: ${what}`, async (t) => {
    using lab = new TestLab()
    const report = lab.up(...options)
    for (const name of possibleIn(lab, names).filter((each) => !slowFaults.includes(each)))
      await t.test(name, async (each) => each.diagnostic(await play(lab, report, name, look)))
  })
}
