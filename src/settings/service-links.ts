// Recognises the variables that the kubelet sets in a pod's containers for each Service of the pod's namespace ("Accessing the Service"
// in the Kubernetes documentation). For a Service named causeway-metrics it sets CAUSEWAY_METRICS_PORT=tcp://10.96.0.7:9474 and others.

const suffixes = /^CAUSEWAY(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
const url = /^(tcp|udp|sctp):\/\//

/** Whether this variable is about a Service. A name that only ends in _PORT may be a setting, so there the value decides. */
export function isServiceLink(variable: string, text: string): boolean {
  return suffixes.test(variable) || (variable.endsWith('_PORT') && url.test(text))
}
