// The types of io.k8s.api.core.v1 that make up a pod. Notation: notation.ts. Parts that users of a lab do not need, such as most volume
// sources, are accepted unchecked.

export const podTypes = `
Pod v1 -- Pod is a collection of containers that run on one node.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 PodSpec -- Desired behaviour of the pod.
  status               PodStatus -- Most recently observed status of the pod.
PodSpec -- PodSpec describes a pod.
  containers!          []Container merge=name -- Containers of the pod; at least one.
  initContainers       []Container merge=name -- Containers that run one after the other before the others.
  ephemeralContainers  []object patchKey=name
  volumes              []Volume merge=name retainKeys -- Volumes that containers can mount.
  restartPolicy        string -- Always, OnFailure or Never.
  terminationGracePeriodSeconds int64 -- Seconds the pod gets to terminate.
  activeDeadlineSeconds int64
  dnsPolicy            string
  dnsConfig            object
  nodeSelector         {string} atomic -- Labels a node must have.
  serviceAccountName   string
  serviceAccount       string
  automountServiceAccountToken boolean
  nodeName             string -- The node the pod runs on.
  hostNetwork          boolean -- The pod uses the node's network namespace.
  hostPID              boolean
  hostIPC              boolean
  hostUsers            boolean
  shareProcessNamespace boolean
  securityContext      object
  imagePullSecrets     []LocalObjectReference merge=name
  hostname             string
  subdomain            string
  hostnameOverride     string
  setHostnameAsFQDN    boolean
  affinity             object
  schedulerName        string
  schedulingGates      []SchedulingGate merge=name
  tolerations          []Toleration
  hostAliases          []HostAlias merge=ip
  priorityClassName    string
  priority             int32
  preemptionPolicy     string
  readinessGates       []object
  runtimeClassName     string
  enableServiceLinks   boolean
  overhead             {quantity}
  topologySpreadConstraints []object patchKey=topologyKey
  os                   object
  resourceClaims       []object patchKey=name
  resources            object
SchedulingGate
  name!                string
HostAlias
  ip!                  string
  hostnames            []string
Toleration
  key                  string
  operator             string
  value                string
  effect               string
  tolerationSeconds    int64
Container -- Container is one container of a pod.
  name!                string -- Name of the container, unique in the pod.
  image                string -- Container image.
  imagePullPolicy      string
  command              []string -- Entrypoint; the image's own when absent.
  args                 []string -- Arguments to the entrypoint.
  workingDir           string
  ports                []ContainerPort patchKey=containerPort keys=containerPort,protocol
  env                  []EnvVar merge=name
  envFrom              []object
  resources            ResourceRequirements
  resizePolicy         []object
  restartPolicy        string
  volumeMounts         []VolumeMount merge=mountPath
  volumeDevices        []object patchKey=devicePath
  livenessProbe        object
  readinessProbe       object
  startupProbe         object
  lifecycle            object
  terminationMessagePath string
  terminationMessagePolicy string
  securityContext      object
  stdin                boolean
  stdinOnce            boolean
  tty                  boolean
ContainerPort
  name                 string
  containerPort!       int32
  hostPort             int32
  hostIP               string
  protocol             string default=TCP
EnvVar
  name!                string
  value                string
  valueFrom            object
ResourceRequirements
  limits               {quantity}
  requests             {quantity}
  claims               []object
VolumeMount
  name!                string
  mountPath!           string
  subPath              string
  subPathExpr          string
  readOnly             boolean
  recursiveReadOnly    string
  mountPropagation     string
Volume -- Volume is a named volume of a pod.
  name!                string
  awsElasticBlockStore object
  azureDisk            object
  azureFile            object
  cephfs               object
  cinder               object
  configMap            object
  csi                  object
  downwardAPI          object
  emptyDir             object
  ephemeral            object
  fc                   object
  flexVolume           object
  flocker              object
  gcePersistentDisk    object
  gitRepo              object
  glusterfs            object
  hostPath             object
  image                object
  iscsi                object
  nfs                  object
  persistentVolumeClaim object
  photonPersistentDisk object
  portworxVolume       object
  projected            object
  quobyte              object
  rbd                  object
  scaleIO              object
  secret               object
  storageos            object
  vsphereVolume        object
PodStatus -- PodStatus is what is known about the status of a pod.
  observedGeneration   int64
  phase                string -- Pending, Running, Succeeded, Failed or Unknown.
  conditions           []PodCondition merge=type
  message              string
  reason               string
  nominatedNodeName    string
  hostIP               string -- Address of the node the pod runs on.
  hostIPs              []HostIP patchKey=ip
  podIP                string -- Address of the pod.
  podIPs               []PodIP merge=ip -- Addresses of the pod, at most one per IP family; the first is podIP.
  startTime            time
  initContainerStatuses []ContainerStatus
  containerStatuses    []ContainerStatus
  ephemeralContainerStatuses []ContainerStatus
  qosClass             string
  resize               string
  resourceClaimStatuses []object
PodCondition
  type!                string
  status!              string
  observedGeneration   int64
  lastProbeTime        time
  lastTransitionTime   time
  reason               string
  message              string
HostIP
  ip!                  string
PodIP
  ip!                  string
ContainerStatus
  name!                string
  state                object
  lastState            object
  ready!               boolean
  restartCount!        int32
  image!               string
  imageID!             string
  containerID          string
  started              boolean
  allocatedResources   {quantity}
  resources            object
  volumeMounts         []object
  user                 object
  allocatedResourcesStatus []object
  stopSignal           string
`
