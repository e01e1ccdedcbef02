// What policies need to know of a Namespace.
import { annotationsOf, type KubeObject, labelsOf } from '#/model/kubernetes.ts'
import { auditMode, policyModeAnnotation, type PolicyNamespace } from './cluster.ts'

/** Never throws. A mode that is not known is none: policies are enforced. */
export function readPolicyNamespace(namespace: KubeObject): PolicyNamespace {
  return {
    name: namespace.metadata.name,
    labels: labelsOf(namespace),
    isAudited: annotationsOf(namespace)[policyModeAnnotation] === auditMode,
  }
}
