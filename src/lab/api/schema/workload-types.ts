// Kinds that the lab stores without acting on them, because an installation consists of them. Notation: notation.ts.

/** The types of io.k8s.api.apps.v1, with pod templates as far as they are checked. */
export const workloadTypes = `
DaemonSet apps/v1 -- DaemonSet runs a pod on every node.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 DaemonSetSpec -- Desired behaviour.
  status               DaemonSetStatus -- What its controller last reported.
DaemonSetSpec
  selector!            LabelSelector -- Pods that belong to it.
  template!            PodTemplateSpec -- The pod that every node gets.
  updateStrategy       DaemonSetUpdateStrategy
  minReadySeconds      int32
  revisionHistoryLimit int32
DaemonSetUpdateStrategy
  type                 string -- RollingUpdate or OnDelete.
  rollingUpdate        RollingUpdateDaemonSet
RollingUpdateDaemonSet
  maxUnavailable       intOrString
  maxSurge             intOrString
DaemonSetStatus
  currentNumberScheduled int32
  desiredNumberScheduled int32
  numberAvailable      int32
  numberMisscheduled   int32
  numberReady          int32
  numberUnavailable    int32
  observedGeneration   int64
  updatedNumberScheduled int32
  collisionCount       int32
  conditions           []object patchKey=type
Deployment apps/v1 -- Deployment runs a number of equal pods.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 DeploymentSpec -- Desired behaviour.
  status               DeploymentStatus -- What its controller last reported.
DeploymentSpec
  replicas             int32 -- How many pods.
  selector!            LabelSelector -- Pods that belong to it.
  template!            PodTemplateSpec -- The pod that runs.
  strategy             DeploymentStrategy retainKeys
  minReadySeconds      int32
  revisionHistoryLimit int32
  paused               boolean
  progressDeadlineSeconds int32
DeploymentStrategy
  type                 string -- Recreate or RollingUpdate.
  rollingUpdate        RollingUpdateDeployment
RollingUpdateDeployment
  maxUnavailable       intOrString
  maxSurge             intOrString
DeploymentStatus
  observedGeneration   int64
  replicas             int32
  updatedReplicas      int32
  readyReplicas        int32
  availableReplicas    int32
  unavailableReplicas  int32
  terminatingReplicas  int32
  collisionCount       int32
  conditions           []object patchKey=type
PodTemplateSpec
  metadata             ObjectMeta
  spec                 PodSpec
`

/** The types of io.k8s.api.rbac.v1. */
export const rbacTypes = `
ClusterRole rbac.authorization.k8s.io/v1 -- ClusterRole is a set of rights, in the whole cluster.
  metadata             ObjectMeta -- Standard object's metadata.
  rules                []PolicyRule
  aggregationRule      AggregationRule
AggregationRule
  clusterRoleSelectors []LabelSelector
ClusterRoleBinding rbac.authorization.k8s.io/v1 -- ClusterRoleBinding gives rights in the whole cluster.
  metadata             ObjectMeta -- Standard object's metadata.
  subjects             []Subject
  roleRef!             RoleRef
Role rbac.authorization.k8s.io/v1 -- Role is a set of rights in one namespace.
  metadata             ObjectMeta -- Standard object's metadata.
  rules                []PolicyRule
RoleBinding rbac.authorization.k8s.io/v1 -- RoleBinding gives rights in one namespace.
  metadata             ObjectMeta -- Standard object's metadata.
  subjects             []Subject
  roleRef!             RoleRef
PolicyRule
  verbs!               []string
  apiGroups            []string
  resources            []string
  resourceNames        []string
  nonResourceURLs      []string
Subject atomic
  kind!                string
  apiGroup             string
  name!                string
  namespace            string
RoleRef atomic
  apiGroup!            string
  kind!                string
  name!                string
`
