/** Why an object cannot be made. `remedy` says what to do, where that is known; it is safe to follow. */
export type Failure = {
  readonly message: string
  readonly remedy?: string
  /** A problem of another object tells it. */
  readonly isTold?: boolean
}
