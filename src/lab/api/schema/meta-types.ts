// The types of io.k8s.apimachinery.pkg.apis.meta.v1 that objects contain. Notation: notation.ts.

export const metaTypes = `
ObjectMeta -- ObjectMeta is what all objects have in common: their identity, labels and lifecycle.
  name                       string -- Name, unique within the namespace. Cannot be updated.
  generateName               string -- Prefix the server makes a unique name from when none is given.
  namespace                  string -- Namespace the object lives in. Cannot be updated.
  selfLink                   string
  uid                        string -- Unique in time and space; set by the server.
  resourceVersion            string -- Opaque version of the object, for optimistic concurrency and watches.
  generation                 int64 -- Counts changes of the desired state.
  creationTimestamp          time -- When the server created the object.
  deletionTimestamp          time -- When the object is to be gone; set by the server on a graceful deletion.
  deletionGracePeriodSeconds int64 -- Seconds the object may take to terminate.
  labels                     {string} -- Keys and values to organize and select objects.
  annotations                {string} -- Keys and values for tools; not for selecting.
  ownerReferences            []OwnerReference merge=uid -- Objects this one depends on; it goes when all of them are gone.
  finalizers                 []string set -- The object is removed only when this list is empty.
  managedFields              []ManagedFieldsEntry -- Which manager set which field.
OwnerReference -- OwnerReference names an owning object in the same namespace, or one without namespace.
  apiVersion!                string
  kind!                      string
  name!                      string
  uid!                       string
  controller                 boolean -- The reference is to the managing controller.
  blockOwnerDeletion         boolean -- A foreground deletion of the owner waits for this object.
ManagedFieldsEntry -- ManagedFieldsEntry is the set of fields that one manager owns.
  manager                    string
  operation                  string
  apiVersion                 string
  time                       time
  fieldsType                 string
  fieldsV1                   object
  subresource                string
LabelSelector atomic -- LabelSelector selects objects by their labels.
  matchLabels                {string}
  matchExpressions           []LabelSelectorRequirement
LabelSelectorRequirement
  key!                       string
  operator!                  string
  values                     []string
`
