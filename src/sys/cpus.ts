// How many CPUs the kernel counts with, which is more than run: maps per CPU have a value for each.
import { readFileSync } from 'node:fs'

let count: number | undefined

/** The length of the list of /sys/devices/system/cpu/possible, such as "0-3" or "0-1,8-11". It cannot change before the next boot. */
export function possibleCpus(): number {
  count ??= cpusOfList(readFileSync('/sys/devices/system/cpu/possible', 'utf8'))
  return count
}

/** How many CPUs a list such as "0-1,8-11" names. */
export function cpusOfList(list: string): number {
  return list
    .trim()
    .split(',')
    .map((range) => range.split('-').map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0)
}
