// The names of the files and sockets that an agent keeps on its node. They stand apart, because commands that only ask an agent
// need them too.

/** In the run directory: the agent's API. */
export const agentSocketName = 'agent.sock'
/** In the run directory: where the CNI plugin calls. */
export const cniSocketName = 'cni.sock'
/** In the state directory: DEL calls that came while no agent ran. */
export const spoolFolderName = 'cni-spool'
/** In the state directory: the endpoints of this node. */
export const stateFileName = 'endpoints.sqlite'
