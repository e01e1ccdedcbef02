// Installs Causeway's own kinds in the lab's API, as an installation on a cluster does.
import { type ApiClient } from '#/cluster/client.ts'
import { applyAll } from '#/install/apply.ts'
import { definitions } from '#/install/definitions/index.ts'

/** The kinds may exist already, from this version or an earlier one. Resolves when the API serves them. */
export async function ensureDefinitions(client: ApiClient): Promise<void> {
  await applyAll(client, definitions, { isDryRun: false, say: () => {} })
}
