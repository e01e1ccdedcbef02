// Installs in the lab's API what is no kind of its own: Causeway's kinds, as an installation on a cluster does, and ClusterNetworkPolicy.
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { applyAll } from '#/install/apply.ts'
import { definitions } from '#/install/definitions/index.ts'
import { policyDefinition } from './policy-definition.ts'

const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/**
 * Causeway's kinds may exist already, from this version or an earlier one. A definition of ClusterNetworkPolicy that is there stays as it is.
 * Resolves when the API serves them.
 */
export async function ensureDefinitions(client: ApiClient): Promise<void> {
  await applyAll(client, definitions, { isDryRun: false, say: () => {} })
  try {
    await client.create(definitionsPath, policyDefinition)
  } catch (error) {
    if (!isApiError(error, 409)) throw error
  }
}
