// Variables that the kubelet puts into the containers of a pod for each Service of the pod's namespace ("Accessing the Service" in the
// Kubernetes documentation). A Service named causeway-metrics gives CAUSEWAY_METRICS_PORT=tcp://10.96.0.7:9474 and more.

const suffixes = /^CAUSEWAY(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
const url = /^(tcp|udp|sctp):\/\//

/** Whether this variable is about a Service. A name that ends in _PORT alone does not tell: it takes the value. */
export function isServiceLink(variable: string, text: string): boolean {
  return suffixes.test(variable) || (variable.endsWith('_PORT') && url.test(text))
}
