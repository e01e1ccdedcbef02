// Field numbers of the types that `kubectl create` and typed clients send as protobuf (k8s.io/api and apimachinery, generated.proto). The
// types of the fields are those of the schema.

/** Type -> members in the form "number:name"; with "?" a zero value means that the member is absent. */
const source: Readonly<Record<string, string>> = {
  ObjectMeta:
    '1:name 2:generateName 3:namespace 4:selfLink 5:uid 6:resourceVersion 7:generation? 8:creationTimestamp 9:deletionTimestamp 10:deletionGracePeriodSeconds 11:labels 12:annotations 13:ownerReferences 14:finalizers 17:managedFields',
  OwnerReference: '1:kind 3:name 4:uid 5:apiVersion 6:controller 7:blockOwnerDeletion',
  Namespace: '1:metadata 2:spec 3:status',
  NamespaceSpec: '1:finalizers',
  NamespaceStatus: '1:phase 2:conditions',
  NamespaceCondition: '1:type 2:status 4:lastTransitionTime 5:reason 6:message',
  ConfigMap: '1:metadata 2:data 3:binaryData 4:immutable',
  Secret: '1:metadata 2:data 3:type 4:stringData 5:immutable',
  ServiceAccount: '1:metadata 2:secrets 3:imagePullSecrets 4:automountServiceAccountToken',
  ObjectReference: '1:kind 2:namespace 3:name 4:uid 5:apiVersion 6:resourceVersion 7:fieldPath',
  LocalObjectReference: '1:name',
  Service: '1:metadata 2:spec 3:status',
  ServiceStatus: '1:loadBalancer 2:conditions',
  ServiceSpec:
    '1:ports 2:selector 3:clusterIP 4:type 5:externalIPs 7:sessionAffinity 8:loadBalancerIP 9:loadBalancerSourceRanges 10:externalName 11:externalTrafficPolicy 12:healthCheckNodePort? 13:publishNotReadyAddresses? 14:sessionAffinityConfig 17:ipFamilyPolicy 18:clusterIPs 19:ipFamilies 20:allocateLoadBalancerNodePorts 21:loadBalancerClass 22:internalTrafficPolicy 23:trafficDistribution',
  ServicePort: '1:name 2:protocol 3:port 4:targetPort 5:nodePort? 6:appProtocol',
  Lease: '1:metadata 2:spec',
  LeaseSpec:
    '1:holderIdentity 2:leaseDurationSeconds 3:acquireTime 4:renewTime 5:leaseTransitions 6:strategy 7:preferredHolder',
  Binding: '1:metadata 2:target',
  Pod: '1:metadata 2:spec 3:status',
  PodSpec:
    '1:volumes 2:containers 3:restartPolicy 4:terminationGracePeriodSeconds 5:activeDeadlineSeconds 6:dnsPolicy 7:nodeSelector 8:serviceAccountName 9:serviceAccount 10:nodeName 11:hostNetwork? 12:hostPID? 13:hostIPC? 14:securityContext 15:imagePullSecrets 16:hostname 17:subdomain 18:affinity 19:schedulerName 20:initContainers 21:automountServiceAccountToken 22:tolerations 23:hostAliases 24:priorityClassName 25:priority 26:dnsConfig 27:shareProcessNamespace 28:readinessGates 29:runtimeClassName 30:enableServiceLinks 31:preemptionPolicy 32:overhead 33:topologySpreadConstraints 34:ephemeralContainers 35:setHostnameAsFQDN 36:os 37:hostUsers 38:schedulingGates 39:resourceClaims 40:resources 41:hostnameOverride',
  SchedulingGate: '1:name',
  HostAlias: '1:ip 2:hostnames',
  Toleration: '1:key 2:operator 3:value 4:effect 5:tolerationSeconds',
  Container:
    '1:name 2:image 3:command 4:args 5:workingDir 6:ports 7:env 8:resources 9:volumeMounts 10:livenessProbe 11:readinessProbe 12:lifecycle 13:terminationMessagePath 14:imagePullPolicy 15:securityContext 16:stdin? 17:stdinOnce? 18:tty? 19:envFrom 20:terminationMessagePolicy 21:volumeDevices 22:startupProbe 23:resizePolicy 24:restartPolicy',
  ContainerPort: '1:name 2:hostPort? 3:containerPort 4:protocol 5:hostIP',
  EnvVar: '1:name 2:value 3:valueFrom',
  ResourceRequirements: '1:limits 2:requests 3:claims',
  VolumeMount: '1:name 2:readOnly? 3:mountPath 4:subPath 5:mountPropagation 6:subPathExpr 7:recursiveReadOnly',
  PodStatus:
    '1:phase 2:conditions 3:message 4:reason 5:hostIP 6:podIP 7:startTime 8:containerStatuses 9:qosClass 10:initContainerStatuses 11:nominatedNodeName 12:podIPs 13:ephemeralContainerStatuses 14:resize 15:resourceClaimStatuses 16:hostIPs 17:observedGeneration?',
  PodCondition: '1:type 2:status 3:lastProbeTime 4:lastTransitionTime 5:reason 6:message 7:observedGeneration?',
  HostIP: '1:ip',
  PodIP: '1:ip',
  PodTemplateSpec: '1:metadata 2:spec',
  LabelSelector: '1:matchLabels 2:matchExpressions',
  LabelSelectorRequirement: '1:key 2:operator 3:values',
  Deployment: '1:metadata 2:spec 3:status',
  DeploymentSpec:
    '1:replicas 2:selector 3:template 4:strategy 5:minReadySeconds? 6:revisionHistoryLimit 7:paused? 9:progressDeadlineSeconds',
  DeploymentStrategy: '1:type 2:rollingUpdate',
  RollingUpdateDeployment: '1:maxUnavailable 2:maxSurge',
  DeploymentStatus:
    '1:observedGeneration? 2:replicas? 3:updatedReplicas? 4:availableReplicas? 5:unavailableReplicas? 6:conditions 7:readyReplicas? 8:collisionCount 9:terminatingReplicas',
  DaemonSet: '1:metadata 2:spec 3:status',
  DaemonSetSpec: '1:selector 2:template 3:updateStrategy 4:minReadySeconds? 6:revisionHistoryLimit',
  DaemonSetUpdateStrategy: '1:type 2:rollingUpdate',
  RollingUpdateDaemonSet: '1:maxUnavailable 2:maxSurge',
  DaemonSetStatus:
    '1:currentNumberScheduled 2:numberMisscheduled 3:desiredNumberScheduled 4:numberReady 5:observedGeneration? 6:updatedNumberScheduled? 7:numberAvailable? 8:numberUnavailable? 9:collisionCount 10:conditions',
  ClusterRole: '1:metadata 2:rules 3:aggregationRule',
  AggregationRule: '1:clusterRoleSelectors',
  ClusterRoleBinding: '1:metadata 2:subjects 3:roleRef',
  Role: '1:metadata 2:rules',
  RoleBinding: '1:metadata 2:subjects 3:roleRef',
  PolicyRule: '1:verbs 2:apiGroups 3:resources 4:resourceNames 5:nonResourceURLs',
  Subject: '1:kind 2:apiGroup 3:name 4:namespace',
  RoleRef: '1:apiGroup 2:kind 3:name',
  NetworkPolicy: '1:metadata 2:spec',
  NetworkPolicySpec: '1:podSelector 2:ingress 3:egress 4:policyTypes',
  NetworkPolicyIngressRule: '1:ports 2:from',
  NetworkPolicyEgressRule: '1:ports 2:to',
  NetworkPolicyPeer: '1:podSelector 2:namespaceSelector 3:ipBlock',
  NetworkPolicyPort: '1:protocol 2:port 3:endPort',
  IPBlock: '1:cidr 2:except',
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
