// Field numbers of the types that `kubectl create` and typed clients send as protobuf (k8s.io/api and apimachinery, generated.proto). The
// types of the fields are those of the schema.

/** Type -> members in the form "number:name"; with "?" a zero value means that the member is absent. */
const source: Readonly<Record<string, string>> = {
  ObjectMeta:
    '1:name 2:generateName 3:namespace 4:selfLink 5:uid 6:resourceVersion 7:generation? 8:creationTimestamp 9:deletionTimestamp 10:deletionGracePeriodSeconds 11:labels 12:annotations 13:ownerReferences 14:finalizers 17:managedFields',
  OwnerReference: '1:kind 3:name 4:uid 5:apiVersion 6:controller 7:blockOwnerDeletion',
  Namespace: '1:metadata 2:spec 3:status',
  NamespaceSpec: '1:finalizers',
  NamespaceStatus: '1:phase',
  ConfigMap: '1:metadata 2:data 3:binaryData 4:immutable',
  Secret: '1:metadata 2:data 3:type 4:stringData 5:immutable',
  ServiceAccount: '1:metadata 2:secrets 3:imagePullSecrets 4:automountServiceAccountToken',
  ObjectReference: '1:kind 2:namespace 3:name 4:uid 5:apiVersion 6:resourceVersion 7:fieldPath',
  LocalObjectReference: '1:name',
  Service: '1:metadata 2:spec',
  ServiceSpec:
    '1:ports 2:selector 3:clusterIP 4:type 5:externalIPs 7:sessionAffinity 8:loadBalancerIP 9:loadBalancerSourceRanges 10:externalName 11:externalTrafficPolicy 12:healthCheckNodePort? 13:publishNotReadyAddresses? 17:ipFamilyPolicy 18:clusterIPs 19:ipFamilies 20:allocateLoadBalancerNodePorts 21:loadBalancerClass 22:internalTrafficPolicy 23:trafficDistribution',
  ServicePort: '1:name 2:protocol 3:port 4:targetPort 5:nodePort? 6:appProtocol',
  Lease: '1:metadata 2:spec',
  LeaseSpec:
    '1:holderIdentity 2:leaseDurationSeconds 3:acquireTime 4:renewTime 5:leaseTransitions 6:strategy 7:preferredHolder',
  Binding: '1:metadata 2:target',
  DeleteOptions: '1:gracePeriodSeconds 2:preconditions 3:orphanDependents 4:propagationPolicy 5:dryRun',
  Preconditions: '1:uid 2:resourceVersion',
}

export type FieldNames = ReadonlyMap<number, { readonly name: string; readonly omitsZero: boolean }>

/** The field numbers of a type by its name without package; undefined for types that are accepted only as JSON. */
export const protobufFields: ReadonlyMap<string, FieldNames> = new Map(
  Object.entries(source).map(([type, fields]) => [
    type,
    new Map(
      fields.split(' ').map((field) => {
        const [number = '', name = ''] = field.split(':')
        return [Number(number), { name: name.replace('?', ''), omitsZero: name.endsWith('?') }]
      }),
    ),
  ]),
)
