// Whether the kernel takes rules that tell of denied packets. They are of use to people alone: where it has no nfnetlink_log, policies are
// enforced without them.
import { type NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { type Logger } from '#/lib/log.ts'
import { tellingTrial, untoldDelta, untoldTable } from '#/plan/policy/untold.ts'
import { type NftDelta } from '#/wire/nftables/delta.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'

export class Telling {
  readonly #client: Pick<NftClient, 'refusalOf'>
  readonly #log: Logger
  #refusal: KernelError | undefined

  constructor(client: Pick<NftClient, 'refusalOf'>, log: Logger) {
    this.#client = client
    this.#log = log
  }

  /** Why tables are written without such rules; undefined: they have them. */
  get refusal(): string | undefined {
    return this.#refusal?.message
  }

  /** Asks a kernel that refused such rules whether it takes them by now: a module may have been installed. Throws KernelError. */
  tryAgain(): void {
    if (this.#refusal === undefined) return
    this.#refusal = this.#client.refusalOf(tellingTrial)
    if (this.#refusal === undefined) this.#log.info('what policies deny is told again')
  }

  /** Whether a table that was refused is to be written once more, since it will be without such rules. */
  explains(error: unknown): boolean {
    if (this.#refusal !== undefined || !(error instanceof KernelError)) return false
    this.#refusal = this.#client.refusalOf(tellingTrial)
    if (this.#refusal === undefined) return false
    this.#log.warn('what policies deny is counted, but not told', { error: this.#refusal.message })
    return true
  }

  table(table: NftTable): NftTable {
    return this.#refusal === undefined ? table : untoldTable(table)
  }

  delta(delta: NftDelta): NftDelta {
    return this.#refusal === undefined ? delta : untoldDelta(delta)
  }
}
