// The types of io.k8s.api.core.v1 that are served, except those of pods. Notation: notation.ts.

export const coreTypes = `
Node v1 -- Node is a worker node of the cluster.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 NodeSpec -- Desired behaviour of the node.
  status               NodeStatus -- What the node's agents last reported.
NodeSpec -- NodeSpec describes the attributes that a node is created with.
  podCIDR              string -- The IP range of the node's pods.
  podCIDRs             []string set -- The IP ranges of the node's pods, at most one per IP family; the first is podCIDR.
  providerID           string -- ID of the node assigned by the cloud provider.
  unschedulable        boolean -- Keeps new pods off the node.
  taints               []Taint -- The node's taints.
  configSource         object
  externalID           string
Taint -- Taint keeps pods that do not tolerate it off a node.
  key!                 string
  value                string
  effect!              string
  timeAdded            time
NodeStatus -- NodeStatus is the current status of a node.
  capacity             {quantity}
  allocatable          {quantity}
  phase                string
  conditions           []NodeCondition merge=type -- Observed conditions, such as Ready.
  addresses            []NodeAddress patchKey=type -- Addresses at which the node is reachable.
  daemonEndpoints      object
  nodeInfo             NodeSystemInfo
  images               []object
  volumesInUse         []string
  volumesAttached      []object
  config               object
  features             object
  runtimeHandlers      []object
NodeCondition -- NodeCondition is one observed condition of a node.
  type!                string
  status!              string
  reason               string
  message              string
  lastHeartbeatTime    time
  lastTransitionTime   time
NodeAddress -- NodeAddress is one address of a node.
  type!                string -- Hostname, InternalIP or ExternalIP.
  address!             string
NodeSystemInfo -- NodeSystemInfo identifies the node's machine and software.
  machineID!           string
  systemUUID!          string
  bootID!              string
  kernelVersion!       string
  osImage!             string
  containerRuntimeVersion! string
  kubeletVersion!      string
  kubeProxyVersion!    string
  operatingSystem!     string
  architecture!        string
  swap                 object
Namespace v1 -- Namespace is a scope for names.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 NamespaceSpec
  status               NamespaceStatus
NamespaceSpec -- NamespaceSpec holds what must happen before the namespace goes.
  finalizers           []string -- The namespace is removed when this list is empty.
NamespaceStatus -- NamespaceStatus says where in its life the namespace is.
  phase                string -- Active or Terminating.
  conditions           []NamespaceCondition merge=type
NamespaceCondition
  type!                string
  status!              string
  lastTransitionTime   time
  reason               string
  message              string
ConfigMap v1 -- ConfigMap holds configuration data for pods.
  metadata             ObjectMeta -- Standard object's metadata.
  data                 {string} -- Values as text.
  binaryData           {bytes} -- Values as base64 of bytes.
  immutable            boolean -- Data cannot be changed any more.
Secret v1 -- Secret holds data that not everybody may see.
  metadata             ObjectMeta -- Standard object's metadata.
  data                 {bytes} -- Values as base64 of bytes.
  stringData           {string} -- Values as text, written into data.
  type                 string
  immutable            boolean -- Data cannot be changed any more.
ServiceAccount v1 -- ServiceAccount is an identity for processes in pods.
  metadata             ObjectMeta -- Standard object's metadata.
  secrets              []ObjectReference patchKey=name
  imagePullSecrets     []LocalObjectReference
  automountServiceAccountToken boolean
Service v1 -- Service is a named abstraction of a set of pods and how to reach them.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 ServiceSpec
  status               ServiceStatus
ServiceSpec -- ServiceSpec describes the attributes that a user creates on a service.
  ports                []ServicePort patchKey=port keys=port,protocol
  selector             {string} atomic -- Labels of the pods that traffic goes to.
  clusterIP            string
  clusterIPs           []string
  type                 string -- ClusterIP, NodePort, LoadBalancer or ExternalName.
  externalIPs          []string
  sessionAffinity      string
  sessionAffinityConfig object
  loadBalancerIP       string
  loadBalancerClass    string
  loadBalancerSourceRanges []string
  externalName         string
  externalTrafficPolicy string
  internalTrafficPolicy string
  healthCheckNodePort  int32
  publishNotReadyAddresses boolean
  allocateLoadBalancerNodePorts boolean
  ipFamilies           []string
  ipFamilyPolicy       string
  trafficDistribution  string
ServicePort
  name                 string
  protocol             string default=TCP
  appProtocol          string
  port!                int32
  targetPort           intOrString
  nodePort             int32
ServiceStatus
  loadBalancer         object
  conditions           []object
Event v1 -- Event reports that something happened to an object.
  metadata!            ObjectMeta -- Standard object's metadata.
  involvedObject!      ObjectReference -- The object the event is about.
  reason               string -- Short, machine-readable reason.
  message              string -- What happened, for people.
  source               EventSource
  firstTimestamp       time
  lastTimestamp        time
  count                int32 -- How often it happened.
  type                 string -- Normal or Warning.
  eventTime            microtime
  series               EventSeries
  action               string
  related              ObjectReference
  reportingComponent   string
  reportingInstance    string
EventSource
  component            string
  host                 string
EventSeries
  count                int32
  lastObservedTime     microtime
ObjectReference atomic -- ObjectReference points to an object.
  apiVersion           string
  kind                 string
  namespace            string
  name                 string
  uid                  string
  resourceVersion      string
  fieldPath            string
LocalObjectReference atomic
  name                 string
Binding v1 -- Binding ties a pod to a node.
  metadata             ObjectMeta -- Standard object's metadata.
  target!              ObjectReference -- The node.
`

/** The types of io.k8s.api.coordination.v1. */
export const coordinationTypes = `
Lease coordination.k8s.io/v1 -- Lease defines a lease concept.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 LeaseSpec
LeaseSpec
  holderIdentity       string -- Who holds the lease.
  leaseDurationSeconds int32 -- How long after renewTime others must wait before they take it.
  acquireTime          microtime
  renewTime            microtime
  leaseTransitions     int32
  strategy             string
  preferredHolder      string
`

/** The types of io.k8s.api.events.v1. */
export const eventTypes = `
Event events.k8s.io/v1 -- Event reports that something happened to an object.
  metadata             ObjectMeta -- Standard object's metadata.
  eventTime            microtime
  series               EventSeries
  reportingController  string
  reportingInstance    string
  action               string
  reason               string
  regarding            object
  related              object
  note                 string
  type                 string
  deprecatedSource     object
  deprecatedFirstTimestamp time
  deprecatedLastTimestamp time
  deprecatedCount      int32
EventSeries
  count!               int32
  lastObservedTime!    microtime
`

/** The types of io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1. */
export const extensionTypes = `
CustomResourceDefinition apiextensions.k8s.io/v1 -- CustomResourceDefinition makes the server serve a new kind.
  metadata             ObjectMeta -- Standard object's metadata.
  spec!                CustomResourceDefinitionSpec
  status               CustomResourceDefinitionStatus
CustomResourceDefinitionSpec
  group!               string -- API group; the definition's name is <plural>.<group>.
  names!               CustomResourceDefinitionNames
  scope!               string enum=Cluster|Namespaced
  versions!            []CustomResourceDefinitionVersion
  preserveUnknownFields boolean
  conversion           CustomResourceConversion
CustomResourceConversion
  strategy!            string enum=None
CustomResourceDefinitionNames
  plural!              string
  singular             string
  shortNames           []string
  kind!                string
  listKind             string
  categories           []string
CustomResourceDefinitionVersion
  name!                string
  served!              boolean
  storage!             boolean
  deprecated           boolean
  deprecationWarning   string
  schema               CustomResourceValidation
  subresources         CustomResourceSubresources
  additionalPrinterColumns []CustomResourceColumnDefinition
  selectableFields     []object
CustomResourceValidation
  openAPIV3Schema      object
CustomResourceSubresources
  status               object
  scale                object
CustomResourceColumnDefinition
  name!                string
  type!                string
  jsonPath!            string
  format               string
  description          string
  priority             int32
CustomResourceDefinitionStatus
  acceptedNames        CustomResourceDefinitionNames
  conditions           []CustomResourceDefinitionCondition keys=type
  storedVersions       []string
CustomResourceDefinitionCondition
  type!                string
  status!              string
  lastTransitionTime   time
  reason               string
  message              string
`
