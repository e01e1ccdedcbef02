// The types of io.k8s.api.networking.v1 that are served. Notation: notation.ts.

export const networkTypes = `
NetworkPolicy networking.k8s.io/v1 -- NetworkPolicy describes what network traffic is allowed for a set of pods.
  metadata             ObjectMeta -- Standard object's metadata.
  spec                 NetworkPolicySpec -- What is allowed, and for which pods.
NetworkPolicySpec -- NetworkPolicySpec says which pods a policy is about, and what they may receive and send.
  podSelector          LabelSelector -- The pods of the policy's namespace that it is about; empty: all of them.
  ingress              []NetworkPolicyIngressRule -- What the pods may receive: what matches any of the rules. An empty list allows nothing.
  egress               []NetworkPolicyEgressRule -- What the pods may send: what matches any of the rules. An empty list allows nothing.
  policyTypes          []string -- Ingress, Egress or both: the directions that the policy is about. Unless told: Ingress, and Egress when there are egress rules.
NetworkPolicyIngressRule -- NetworkPolicyIngressRule allows what comes from one of its peers to one of its ports.
  ports                []NetworkPolicyPort -- Ports of the selected pods; empty or missing: all.
  from                 []NetworkPolicyPeer -- Senders; empty or missing: all.
NetworkPolicyEgressRule -- NetworkPolicyEgressRule allows what goes to one of its ports at one of its peers.
  ports                []NetworkPolicyPort -- Ports of the receivers; empty or missing: all.
  to                   []NetworkPolicyPeer -- Receivers; empty or missing: all.
NetworkPolicyPeer -- NetworkPolicyPeer is a set of pods, or a block of addresses.
  podSelector          LabelSelector -- Pods by their labels, of the namespaces that namespaceSelector selects, or of the policy's own.
  namespaceSelector    LabelSelector -- Namespaces by their labels: all of their pods, or those that podSelector selects.
  ipBlock              IPBlock -- Addresses. With it, the other fields must be missing.
NetworkPolicyPort -- NetworkPolicyPort is a port, a range of ports, or all ports of a protocol.
  protocol             string -- TCP, UDP or SCTP; TCP unless told.
  port                 intOrString -- A number, or the name of a port of a pod; missing: all ports of the protocol.
  endPort              int32 -- The last port of a range that begins with port, which must be a number then.
IPBlock -- IPBlock is a CIDR without parts of it.
  cidr!                string -- Such as 192.168.1.0/24 or 2001:db8::/64.
  except               []string -- CIDRs within cidr that do not belong to it.
`
