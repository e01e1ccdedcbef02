// The supported CNI specification versions, and what each of them allows. 0.1.0, 0.2.0 (one address per family) and 0.3.0 (a misprint,
// replaced by 0.3.1) are left out on purpose.

export const cniVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CniVersion = (typeof cniVersions)[number]

/** The version of an answer when the request's own is unknown. */
export const latestCniVersion: CniVersion = '1.1.0'

export function isCniVersion(text: unknown): text is CniVersion {
  return cniVersions.some((version) => version === text)
}

export function isAtLeast(version: CniVersion, other: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(other)
}

/** The answer to VERSION. `asked` is the request's cniVersion, which the specification wants repeated. */
export function encodeVersions(asked: string): string {
  return `${JSON.stringify({ cniVersion: asked, supportedVersions: cniVersions })}\n`
}
