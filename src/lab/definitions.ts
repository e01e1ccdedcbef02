// Our own kinds in the lab's API, as an installation on a cluster has them.
import { type ApiClient } from '#/cluster/client.ts'
import { applyAll } from '#/install/apply.ts'
import { definitions } from '#/install/definitions/index.ts'

/** They may be there already, of this version or of an earlier one. Done when the API serves the kinds. */
export async function ensureDefinitions(client: ApiClient): Promise<void> {
  await applyAll(client, definitions, { isDryRun: false, say: () => {} })
}
