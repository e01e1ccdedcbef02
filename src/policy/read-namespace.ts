// What policies need to know of a Namespace, and the part of its object from which that is read.
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

/** A copy of the namespace with only what `readPolicyNamespace` reads. */
export function keepOfPolicyNamespaces({ metadata }: KubeObject): KubeObject {
  const { name, uid, resourceVersion, labels } = metadata
  const mode = annotationsOf({ metadata })[policyModeAnnotation]
  return {
    metadata: {
      name,
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(labels !== undefined && { labels }),
      ...(mode !== undefined && { annotations: { [policyModeAnnotation]: mode } }),
    },
  }
}
