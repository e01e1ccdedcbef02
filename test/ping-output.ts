// What ping(8) of iputils prints, without -q.

/** How many packets it has sent; undefined when it did not come as far as saying so. */
export function sentIn(output: string): number | undefined {
  const [, sent] = /(\d+) packets transmitted/.exec(output) ?? []
  return sent === undefined ? undefined : Number(sent)
}

/** Numbers of those of the first `count` packets that were not answered. */
export function lostIn(output: string, count: number): number[] {
  const answered = new Set(Array.from(output.matchAll(/ bytes from .* icmp_seq=(\d+) /g), ([, seq]) => Number(seq)))
  const all = Array.from({ length: count }, (_, index) => index + 1)
  return all.filter((seq) => !answered.has(seq))
}
