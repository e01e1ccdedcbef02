// The names of the files and sockets that an agent keeps on its node. They are in a module of their own, because commands that only ask an
// agent need them too.

/** The socket of the agent's API, in the run directory. */
export const agentSocketName = 'agent.sock'
/** The socket that the CNI plugin calls, in the run directory. */
export const cniSocketName = 'cni.sock'
/** When the agent was last seen ready, in the run directory: the CNI plugin reads it while there is no agent (docs/cni.md). */
export const readyMarkName = `${cniSocketName}.ready`
/** The folder, in the state directory, of DEL calls that came while no agent ran. */
export const spoolFolderName = 'cni-spool'
/** The database of this node's endpoints, in the state directory. */
export const stateFileName = 'endpoints.sqlite'
